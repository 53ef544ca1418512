"""A signal that comes while the program is imported, where Python loses a KeyboardInterrupt."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import PATIENCE

IN_A_CALLBACK = """
import signal, sys, time, weakref

class Lock:
    pass

def interrupted(number):
    # As importlib forgets a module's lock: what its callback raises is only printed.
    lock = Lock()
    kept = weakref.ref(lock, lambda _: signal.raise_signal(number))
    del lock
"""

WHILE_IMPORTING = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            interrupted(number)

sys.meta_path.insert(0, Finder())
from trio_swarm.cli import main
code = main()
print("it went on")
sys.exit(code)
"""

AFTER_THE_START = """
from trio_swarm.cli.interrupts import signals_end_at_once, signals_interrupt

if ignored:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
signals_end_at_once()
signals_interrupt()
interrupted(number)
try:
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    print("stopped")
"""

ON_A_BUSY_MACHINE = """
import threading
begin = threading.Thread.start

def start(thread):
    begin(thread)
    time.sleep(0.2)  # the main thread gets no processor

threading.Thread.start = start
"""

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IN_A_CALLBACK + script, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["cyclopts", "trio_swarm.cli.commands.show"])
def test_a_signal_while_modules_are_imported_ends_the_command(number: str, module: str) -> None:
    chosen = f"number, module = signal.{number}, {module!r}\n"
    done = run_script(chosen + WHILE_IMPORTING, "show", "magnet:?xt=urn:btih:" + "1" * 40)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize("machine", ["", ON_A_BUSY_MACHINE], ids=["idle", "busy"])
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_that_a_callback_lost_comes_again(number: str, machine: str) -> None:
    done = run_script(f"number, ignored = signal.{number}, False\n" + machine + AFTER_THE_START)
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_so_does_the_end_of_what_was_started_in_the_background() -> None:
    """A shell without job control has it ignore SIGINT (POSIX, "asynchronous lists")."""
    done = run_script("number, ignored = signal.SIGTERM, True\n" + AFTER_THE_START)
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_other_errors_in_callbacks_are_still_told() -> None:
    script = """
from trio_swarm.cli.interrupts import signals_end_at_once

signals_end_at_once()
lock = Lock()
kept = weakref.ref(lock, lambda _: 1 / 0)
del lock
"""
    assert "ZeroDivisionError" in run_script(script).stderr


@pytest.mark.parametrize("count", [5, 6, 7, 8])
def test_too_few_open_files_are_one_line(tmp_path: Path, count: int) -> None:
    """However far the program got with them."""
    done = subprocess.run(
        [sys.executable, "-m", "trio_swarm", "ls", "--tracker", "udp://127.0.0.1:1"],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("trio-swarm: ")
