"""The lines of `--json`: one JSON object each on stdout, with an `event` field.

There are two kinds. Events in a node are those of `trio_swarm.events`, by their names in snake case
(`listening`, `files_left_out`, `sharing`, `resolved`, `waiting`, `metadata_received`,
`files_renamed`, `checked`, `completed`, `peer_connected`, `peer_lost`, `peer_banned`,
`piece_failed`, `piece_verified`, `announced`, `tracker_silent`, `tracker_warning`,
`tracker_failed`, `name_refused`, `private_torrent`, `privacy_overruled`, `strategy_fault`,
`files_changed`, `state_not_kept`, `recording_stopped`, `torrent_failed`, `entry_added`,
`entry_changed`, `entry_completed`, `entry_removed`, `events_lost`, `control_listening`,
`tracker_listening`, `tracker_shared`, `tracker_shared_alone`, `tracker_change`, `tracker_summary`).
What a command has to say comes as the events below: `progress` at most once a second and torrent,
where something changed, and once more at the end (get, seed, run), `hashing` at most once a second
and path (seed, create, run), `reached_here_only` (seed), `listed` (ls), `unlisted` (ls --watch),
`running_tracker` (tracker status), `described` (show), `created` (create), `file_fault` and
`data_verified` (verify), `file_change` and `torrents_compared` (diff), `strategy` and
`plugin_problem` (schedulers), `problem`, `config_change` and `config_checked` (check), `written`
(init, plot, simulate --plot, plugin new), `demo_result` (demo), `simulated` once for each run
(simulate), `recording_summary`, `explained_moment` and `explained_decision` (explain), `replayed`
once for each run (replay), `promise_examined`, `strategy_compared` and `decision_timed` (plugin
check); of a running node `node_status` and `torrent_status` (status, and what changes a torrent or
limits), `torrent_removed` (remove, status --watch), `file_status`, `peer_status` and
`tracker_status` (files, peers, trackers), `decision_told` (explain), `reload_change` (reload),
`node_logged` (log), `node_stopped` (stop); in every command that waits for others `logged` (see
`trio_swarm.logs`), and in every command `error`, whose message is also the line on stderr.

Each line begins with `event` and `time`: when it was, in seconds since 1970 (UTC), to the
millisecond. Fields may be added and are never renamed. Info-hashes are 40 hex digits, sizes bytes,
rates bytes/s, times seconds. Lines are ASCII: other characters are escaped. Every event is printed:
`--verbose` adds only `logged` lines of severity `debug`; `--quiet` leaves warnings, errors and what
was asked for.

How a line is made, and what `get`, `seed` and `ls` print, is in `json_lines`: they start sooner
without all the rest.
"""

from collections.abc import Mapping
from typing import TypedDict

from trio_swarm.events import Event


class SizedFile(TypedDict):
    """A file of a torrent: its path, which begins with the torrent's name, and its bytes."""

    path: str
    size: int


class Described(Event, frozen=True, kw_only=True):
    """The contents of a .torrent file or magnet link (show); unknown is None or empty."""

    share_name: str | None
    info_hash: str
    info_hash_v2: str | None
    """Of a hybrid torrent (BEP 52), 64 hex digits."""
    size: int | None
    """Bytes of the files."""
    padding: int | None
    """Bytes between them that no disk holds (BEP 47)."""
    piece_length: int | None
    pieces: int | None
    private: bool | None
    files: list[SizedFile]
    """Without padding."""
    trackers: list[list[str]]
    """Tiers of URLs."""
    web_seeds: list[str]
    """URLs (BEP 19)."""
    peers: list[str]
    comment: str
    created_by: str
    creation_date: int | None
    """Seconds since 1970."""
    magnet: str


class FileFault(Event, frozen=True, kw_only=True):
    """What is wrong with a file of a torrent on the disk (verify)."""

    info_hash: str
    share_name: str
    path: str
    """As the torrent calls it; it begins with the torrent's name."""
    fault: str
    """`missing`, `unreadable`, `shorter`, `longer`, `changed` (while it was hashed), `bad`; or
    `unproven`: it shares pieces with files that are not whole, which cannot be hashed."""
    length: int
    """Bytes in the torrent."""
    size: int | None
    """Bytes on the disk; None if there is no such file."""
    pieces: int
    """Of the torrent, that have a byte of the file."""
    pieces_wrong: int
    reason: str
    """Why it cannot be read."""


class DataVerified(Event, frozen=True, kw_only=True):
    """Data on the disk was compared with a .torrent file (verify)."""

    info_hash: str
    share_name: str
    path: str
    """The file or folder that was verified."""
    is_whole: bool
    size: int
    files: int
    files_whole: int
    pieces: int
    pieces_right: int
    pieces_at_odds: int
    """Of a hybrid: right by the hashes of one version, and wrong by those of the other."""


class FileChange(Event, frozen=True, kw_only=True):
    """What became of a file in a new version of a torrent (diff)."""

    change: str
    """`same`, `moved`, `maybe` (the same: path and length are), `changed`, `added`, `removed`."""
    path: str
    """Below the torrent's name."""
    was: str | None
    """Its path in the old version, if that is another."""
    size: int
    needed: int
    """Bytes to fetch for who has the old version."""


class TorrentsCompared(Event, frozen=True, kw_only=True):
    """Two versions of a torrent were compared (diff)."""

    old_info_hash: str
    new_info_hash: str
    old_name: str
    new_name: str
    size: int
    """Bytes of the new version."""
    needed: int
    """Bytes of it to fetch for who has the old version."""
    maybe: int
    """Those of `needed` in files that may be the same."""
    by_roots: bool
    """Whether the files have roots that could be compared (version 2)."""
    by_pieces: bool
    """Whether hashes of pieces could be compared (version 1)."""


class Strategy(Event, frozen=True, kw_only=True):
    """One strategy that can be chosen."""

    axis: str
    strategy: str
    origin: str
    summary: str
    options: list[dict[str, object]]
    """`name`, `type`, `default`, `required` and `doc` of each."""


class PluginProblem(Event, frozen=True, kw_only=True):
    """An installed package that offers strategies and cannot be used."""

    level = "warning"
    origin: str
    reason: str


class Problem(Event, frozen=True, kw_only=True):
    """One thing wrong with a configuration file."""

    level = "warning"
    file: str
    key: str | None
    message: str


class ConfigChecked(Event, frozen=True, kw_only=True):
    """A configuration file was looked at."""

    file: str
    problems: int


class ConfigChange(Event, frozen=True, kw_only=True):
    """A difference between two configurations; see `trio_swarm.config.changes.Change`."""

    file: str
    key: str
    was: str | None
    will_be: str | None
    how: str
    """`live`, `restart`, `added`, `removed`."""


class Written(Event, frozen=True, kw_only=True):
    """A starting configuration, a picture or a recording of a simulated peer was written."""

    file: str


class DemoResult(Event, frozen=True, kw_only=True):
    """One fetch of the demo."""

    scheduler: str
    seconds: float
    ideal_seconds: float
    rate: float
    shares: Mapping[str, float]
    """The part that each seeder gave, 0 to 1."""
    duplicate: int
    identical: bool


class Simulated(Event, frozen=True, kw_only=True):
    """One run of `simulate`; None where somebody never was complete."""

    scheduler: str
    scheduler_options: Mapping[str, str]
    """The ones that were given, as they were typed."""
    uploader: str
    uploader_options: Mapping[str, str]
    choker: str
    choker_options: Mapping[str, str]
    seed: int
    last: float | None
    """Seconds until the last leecher was complete."""
    p50: float | None
    p95: float | None
    bound: float
    """Least possible (Kumar and Ross), seconds."""
    ratio: float | None
    """`last` to `bound`."""
    copies: float
    """Of the torrent, sent by the seeders."""
    utilisation: float
    """Of all uplinks, 0 to 1."""
    duplicate: int
    received: int
    unfinished: int
    gave_up: int
    """Leechers that went before they were complete."""
    crossed: int
    """Bytes that went from one rack to another."""
    audience: Mapping[str, object] | None
    """Playback of all peers that watched; None where nobody did."""
    viewers: list[dict[str, object]]
    """The same of each: `peer`, `starts_after`, `stalls`, `stalled`, `is_whole`."""
    transfers: int
    simulation_seconds: float
    """Duration of the run on this machine."""
    decisions: int
    """Calls of the schedulers of all peers."""
    decision_seconds: float
    """Duration of all decisions on this machine."""
    digest: str
    """The same if and only if the same happened."""


class RecordingSummary(Event, frozen=True, kw_only=True):
    """A whole recording, as `explain` tells it without a piece, peer or time."""

    file: str
    share_name: str
    info_hash: str
    size: int
    pieces: int
    scheduler: str
    cut_off: str | None
    """Why the file ends before the recording did; None if it does not."""
    summary: dict[str, object]
    """See `trio_swarm.recording.story.summary.Summary`."""


class ExplainedMoment(Event, frozen=True, kw_only=True):
    """Something that happened to the piece or with the peer that `explain` was asked about."""

    at: float
    what: str
    piece: int | None
    peer: int | None
    address: str
    blocks: int
    text: str
    choice: dict[str, object] | None
    """For `asked`: why; see `trio_swarm.recording.story.explaining.Choice`."""


class ExplainedDecision(Event, frozen=True, kw_only=True):
    """The requests that were decided at the time that `explain` was asked about."""

    at: float
    decision: dict[str, object]
    """See `trio_swarm.recording.story.explaining.Decision`."""


class Replayed(Event, frozen=True, kw_only=True):
    """One replay of a recording; the first is the recording itself."""

    scheduler: str
    """`as recorded` for the recording itself."""
    seed: int | None
    seconds: float | None
    """Until everything was verified; None if that never was."""
    received: dict[str, int]
    """Bytes of use, by the number of the peer they came from."""
    addresses: dict[str, str]
    """By the same numbers."""
    duplicate: int
    decisions: int
    decision_seconds: float
    """Duration of all decisions on this machine (of the recording: on that one)."""
    faults: int
    digest: str | None
    """The same if and only if the same happened; None for the recording itself."""


class PromiseExamined(Event, frozen=True, kw_only=True):
    """Whether a strategy keeps one promise of its contract (plugin check)."""

    axis: str
    strategy: str
    promise: str
    holds: bool | None
    """None: it could not be tested."""
    reason: str
    """How and where it broke the promise; empty if the promise holds."""


class StrategyCompared(Event, frozen=True, kw_only=True):
    """One strategy in one standard swarm (plugin check): the one checked, or a built-in one."""

    axis: str
    strategy: str
    scenario: str
    ratio: float | None
    """Of the time to the least possible; None where somebody never was complete."""
    copies: float
    in_vain: float
    """Part of the bytes received, 0 to 1."""
    decision_seconds: float
    """On average."""
    fault: str
    """How the strategy broke its contract there; empty as a rule."""


class DecisionTimed(Event, frozen=True, kw_only=True):
    """How long one decision takes in a large swarm (plugin check)."""

    axis: str
    strategy: str
    decision_seconds: float | None
    """None: it fails there."""


class RunningTracker(Event, frozen=True, kw_only=True):
    """A running tracker (tracker status); see `trio_swarm.tracker.seen.figures`."""

    tracker: str
    version: str
    interval: float
    lease: float
    total: dict[str, object]
    """Sums since the start, and what it holds, of all its workers."""
    workers: list[dict[str, object]]
    """The same of each."""
    limits: dict[str, int]
    """Of each."""
    top: list[dict[str, object]]
    """The biggest swarms."""


class NodeStatus(Event, frozen=True, kw_only=True):
    """A running node, as `status` and `limit` tell of it; see `trio_swarm.control.answers`."""

    version: str
    access: str
    started_at: float | None
    state_folder: str | None
    download_folder: str | None
    incomplete_folder: str | None
    config_file: str | None
    limits: dict[str, object]
    alternative_limits: bool
    """Whether the alternative limits hold now."""
    alternative: dict[str, object] | None
    schedulers: list[str]
    download_rate: float
    upload_rate: float
    torrents: dict[str, int]
    """How many, by state."""


class TorrentStatus(Event, frozen=True, kw_only=True):
    """A torrent of a running node, after what the command did; see `trio_swarm.control.answers`."""

    id: int
    share_name: str
    info_hash: str | None
    state: str
    magnet: str | None
    kind: str
    origin: str
    error: str
    waits_for: str
    labels: list[str]
    limits: dict[str, object]
    queue_position: int
    added_at: float | None
    completed_at: float | None
    active_at: float | None
    folder: str | None
    path: str | None
    size: int
    have: int
    pieces: int
    pieces_have: int
    piece_length: int
    progress: float
    download_rate: float
    upload_rate: float
    eta: float | None
    downloaded: int
    uploaded: int
    downloaded_ever: int
    uploaded_ever: int
    duplicate: int
    ratio: float
    peers: int
    seeders: int
    private: bool | None
    scheduler: dict[str, object] | None
    comment: str | None
    created_at: float | None
    created_by: str | None


class TorrentRemoved(Event, frozen=True, kw_only=True):
    """A running node has this torrent no more."""

    info_hash: str | None
    share_name: str
    data_deleted: bool


class FileStatus(Event, frozen=True, kw_only=True):
    """One file of a torrent of a running node."""

    info_hash: str | None
    share_name: str
    index: int
    path: str
    length: int
    have: int


class PeerStatus(Event, frozen=True, kw_only=True):
    """One peer of a torrent of a running node; see `trio_swarm.PeerProgress`."""

    info_hash: str | None
    share_name: str
    address: str
    client: str
    outgoing: bool
    download_rate: float
    upload_rate: float
    downloaded: int
    uploaded: int
    share: float
    is_seeder: bool
    choking_us: bool
    interested: bool
    unchoked: bool
    in_flight: int
    snubbed: bool


class TrackerStatus(Event, frozen=True, kw_only=True):
    """One tracker of a torrent of a running node, and what it answered last."""

    info_hash: str | None
    share_name: str
    url: str
    tier: int
    last_announce: float | None
    result: str
    next_announce: float | None
    seeders: int | None
    leechers: int | None


class DecisionTold(Event, frozen=True, kw_only=True):
    """Why a running download asked blocks of a piece of a peer, in sentences."""

    info_hash: str | None
    share_name: str
    number: int
    """Counts the decisions of the download."""
    at: float
    """Seconds since 1970."""
    by: str
    scheduler: str
    piece: int | None
    peer: str | None
    blocks: int
    text: str
    reasons: list[str]


class ReloadChange(Event, frozen=True, kw_only=True):
    """One difference that `reload` makes."""

    key: str
    was: str | None
    will_be: str | None
    how: str
    """`live`, `added`, `removed`; `restart`: only at the next start."""


class NodeLogged(Event, frozen=True, kw_only=True):
    """A log line of a running node, as `log` prints it."""

    at: float
    """Seconds since 1970."""
    severity: str
    logger: str
    message: str


class NodeStopped(Event, frozen=True, kw_only=True):
    """A node was told to stop."""

    has_ended: bool
