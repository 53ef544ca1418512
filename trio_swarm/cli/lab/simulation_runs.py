"""The runs of `trio-swarm simulate`, some of them at the same time."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec.structs import replace

from trio_swarm.cli.lab.simulation_recordings import header_of
from trio_swarm.cli.lab.variants import Variant
from trio_swarm.config.scenarios import ScenarioFile
from trio_swarm.lab.pictures.course import Course
from trio_swarm.lab.pictures.from_simulation import Watcher
from trio_swarm.lab.simulator import Recordings, Scenario, SwarmResult, strategies, timeline
from trio_swarm.lab.simulator import simulate as play
from trio_swarm.schedulers.decision_count import DecisionCount
from trio_swarm.schedulers.loading import load_strategies

Watching = Literal["nothing", "pieces", "blocks"]
"""How much of the course of a run is kept: pieces only, or blocks, too."""


class Task(NamedTuple):
    """One run; it is sent to a process of its own, so it holds names and not strategies."""

    scenario: ScenarioFile
    scheduler: Variant
    uploader: Variant
    choker: Variant
    plugins: tuple[Path, ...]
    seed: int
    watch: Watching = "nothing"
    record: tuple[int, ...] = ()
    """The peers whose downloads are recorded, by index."""
    name: str = ""
    """The subject of the recording, in words."""


class Outcome(NamedTuple):
    """The result of a task, and the time it took here."""

    task: Task
    result: SwarmResult
    seconds: float
    decisions: int
    decision_seconds: float
    course: Course | None = None
    recordings: Mapping[int, bytes] = {}
    """Files, by the index of the peer that recorded."""


def is_compiled() -> bool:
    """Whether the simulator runs as machine code here, and not from its sources."""
    return not str(timeline.__file__).endswith(".py")


def play_all(tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Yield the outcomes in the order of the tasks, whichever process plays them."""
    workers = min(workers, len(tasks))
    if workers < 2:
        yield from map(_play, tasks)
        return
    import multiprocessing  # noqa: PLC0415 - one process is the rule
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            # Not pool.map, which cancels what is left: ending its workers then, Python 3.11's pool
            # fails on what is cancelled, with a traceback.
            with _signals_held():
                played = deque(pool.submit(_play, task) for task in tasks)
            while played:
                yield played.popleft().result()
        except BaseException:  # Ctrl-C, above all: nobody waits for what is being played
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


@contextmanager
def _signals_held() -> Iterator[None]:
    """Answer signals behind the block: a worker cut off as it starts would print a traceback."""
    held: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda received, _frame: held.append(received))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])


def _end_with_parent() -> None:
    """End this process with the process that a person started, however that ends."""
    import multiprocessing  # noqa: PLC0415 - one process is the rule

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; one of them answers
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _play(task: Task) -> Outcome:
    started = time.perf_counter()
    chosen = strategies(
        scheduler=task.scheduler.name,
        uploader=task.uploader.name,
        choker=task.choker.name,
        options={
            "scheduler": task.scheduler.options,
            "uploader": task.uploader.options,
            "choker": task.choker.options,
        },
        loaded=load_strategies(task.plugins),
    )
    decisions = DecisionCount(time.perf_counter)
    make_scheduler = chosen.scheduler
    chosen = replace(chosen, scheduler=lambda: decisions.of(make_scheduler()))
    scenario = task.scenario.scenario(task.seed)
    watcher = None
    if task.watch != "nothing":
        watcher = Watcher(scenario, with_blocks=task.watch == "blocks")
    recordings = Recordings(scenario, task.record) if task.record else None
    result = play(scenario, chosen, seed=task.seed, sink=watcher, recordings=recordings)
    took = time.perf_counter() - started
    course = None if watcher is None else watcher.course(task.scheduler.label)
    contents = {} if recordings is None else _contents(recordings, task, scenario)
    return Outcome(task, result, took, decisions.calls, decisions.seconds, course, contents)


def _contents(recordings: Recordings, task: Task, scenario: Scenario) -> dict[int, bytes]:
    strategies_of = {
        "scheduler": task.scheduler,
        "uploader": task.uploader,
        "choker": task.choker,
    }
    return {
        index: recordings.content(
            index, header_of(task.name, scenario, index, **strategies_of, seed=task.seed)
        )
        for index in task.record
    }
