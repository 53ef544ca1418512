"""The strategy under plugins/ that is one file: imported by it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PLUGINS = Path(__file__).parents[2] / "plugins"


def _module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


ZoneFirst: Any = _module(PLUGINS / "zone_first.py", "zone_first_under_test").ZoneFirst
