"""Recordings of downloads: what happened, in a file, and read again.

Pure: it is told what happens and when, and turns that into bytes and back; others read and write
the file. Reading order: `records` (what is told), `format` (how it is written), `reader` and
`checking` (how it is read again, from a file that may hold anything), `recorder` (watches a
download), `story` (what a recording tells).
"""

from trio_swarm.errors import RecordingError
from trio_swarm.recording.format import Header
from trio_swarm.recording.reader import Recording, read_recording
from trio_swarm.recording.records import Record, pack, unpack

__all__ = [
    "Header",
    "Record",
    "Recording",
    "RecordingError",
    "pack",
    "read_recording",
    "unpack",
]
