"""What `import trio_swarm` offers."""

import ast
import subprocess
import sys
from pathlib import Path

import trio_swarm


def test_every_public_name_can_be_imported() -> None:
    for name in trio_swarm.__all__:
        assert getattr(trio_swarm, name) is not None
    assert set(trio_swarm.__all__) <= set(dir(trio_swarm))


def test_what_type_checkers_see_is_what_there_is() -> None:
    tree = ast.parse(Path(trio_swarm.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == set(trio_swarm.__all__) - {"__version__"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, trio_swarm; print([m for m in ('trio', 'httpx', 'rich') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
