"""A file sent over one TCP connection and nothing else: what a link carries for anybody.

    bench_long_plain.py serve ADDRESS PORT FILE
    bench_long_plain.py fetch ADDRESS PORT FILE

Who serves prints `serving`, and serves for ever; who fetches prints `complete` when it has all. A
FILE of `-` is zeros without an end, or nowhere.
"""

import io
import itertools
import os
import socket
import sys
import threading
from pathlib import Path

CHUNK = 1024 * 1024


def serve(address: str, port: int, path: str) -> None:
    listener = socket.create_server((address, port))
    print("serving", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=send, args=(connection, path), daemon=True).start()


def send(connection: socket.socket, path: str) -> None:
    with connection:
        try:
            if path == "-":
                for zeros in itertools.repeat(bytes(CHUNK)):
                    connection.sendall(zeros)
            with Path(path).open("rb") as file:
                connection.sendfile(file)
        except OSError:
            return  # The other end has left.


def fetch(address: str, port: int, path: str) -> None:
    memory = memoryview(bytearray(CHUNK))
    with socket.create_connection((address, port)) as connection, open_sink(path) as sink:
        while count := connection.recv_into(memory):
            os.writev(sink.fileno(), [memory[:count]])
    print("complete", flush=True)


def open_sink(path: str) -> io.RawIOBase:
    if path == "-":
        return io.FileIO(os.devnull, "wb")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return io.FileIO(path, "wb")


def main() -> None:
    act, address, port, path = sys.argv[1:]
    {"serve": serve, "fetch": fetch}[act](address, int(port), path)


if __name__ == "__main__":
    main()
