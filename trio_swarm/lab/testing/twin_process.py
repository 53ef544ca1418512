"""The program of a twin process: makes the given strategy, and answers calls until stdin ends."""

import importlib.util
import pickle
import sys
from pathlib import Path
from typing import Any

from trio_swarm.foreign_text import error_text
from trio_swarm.lab.testing.decisions import decide_all


def main() -> None:
    """Answer on stdout; anything that the strategy prints goes to stderr."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    questions = sys.stdin.buffer
    module, pickled = pickle.load(questions)  # noqa: S301  of the process that started this one
    factory: Any = None
    answer: object = None
    try:
        _import(module)
        factory = pickle.loads(pickled)  # noqa: S301  of the process that started this one
    except Exception as error:  # noqa: BLE001  an author's module may raise anything
        answer = error_text(error)
    while True:
        pickle.dump(answer, answers)
        answers.flush()
        try:
            calls = pickle.load(questions)  # noqa: S301  of the process that started this one
        except EOFError:
            return
        answer = decide_all(factory(), calls)


def _import(module: tuple[str, str] | None) -> None:
    """Import a module by its name, or by its file if it is not on the path."""
    if module is None:
        return
    name, file = module
    try:
        importlib.import_module(name)
    except ImportError:
        folders = [str(Path(file).parent)] if Path(file).name == "__init__.py" else None
        spec = importlib.util.spec_from_file_location(
            name, file, submodule_search_locations=folders
        )
        if spec is None or spec.loader is None:
            raise
        sys.modules[name] = loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)


if __name__ == "__main__":
    main()
