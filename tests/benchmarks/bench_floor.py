"""The floor: what moving, hashing and writing a file costs without any protocol.

    bench_floor.py send FILE ADDRESS
    bench_floor.py receive FILE ADDRESS SIZE PIECE_LENGTH HASHES

The sender is one sendfile after another. The receiver reads whole pieces into reused buffers, and
two threads compare their SHA-1 with the file HASHES and write them. Prints `complete`.
"""

import hashlib
import os
import queue
import socket
import sys
import threading
from pathlib import Path

PORT = 6881
BUFFERS = 32
THREADS = 2
SEND = 4 * 1024 * 1024


def send(file: str, address: str) -> None:
    with Path(file).open("rb") as source, socket.create_server((address, PORT)) as listening:
        say("listening")
        size = os.fstat(source.fileno()).st_size
        connected, _ = listening.accept()
        offset = 0
        while offset < size:
            offset += os.sendfile(connected.fileno(), source.fileno(), offset, SEND)
        connected.close()
        threading.Event().wait()  # until it is stopped, so that its resources can be read


def receive(file: str, address: str, size: int, piece_length: int, hashes: bytes) -> None:
    free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
    full: queue.SimpleQueue[tuple[int, memoryview] | None] = queue.SimpleQueue()
    for _ in range(BUFFERS):
        free.put(memoryview(bytearray(piece_length)))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.ftruncate(descriptor, size)
    wrong: list[int] = []

    def work() -> None:
        while (job := full.get()) is not None:
            piece, data = job
            length = min(piece_length, size - piece * piece_length)
            if hashlib.sha1(data[:length]).digest() != hashes[piece * 20 : piece * 20 + 20]:
                wrong.append(piece)
            os.pwrite(descriptor, data[:length], piece * piece_length)
            free.put(data)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    with socket.create_connection((address, PORT)) as connection:
        for piece in range(-(-size // piece_length)):
            data = free.get()
            length = min(piece_length, size - piece * piece_length)
            got = 0
            while got < length:
                got += connection.recv_into(data[got:length])
            full.put((piece, data))
    for _ in threads:
        full.put(None)
    for thread in threads:
        thread.join()
    if wrong:
        sys.exit(f"{len(wrong)} pieces are wrong")
    say("complete")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    if sys.argv[1] == "send":
        send(*sys.argv[2:])
    else:
        file, address, size, piece_length, hashes = sys.argv[2:]
        receive(file, address, int(size), int(piece_length), Path(hashes).read_bytes())


if __name__ == "__main__":
    main()
