"""The documents are true: programs run, commands parse, links lead somewhere, names exist."""

import argparse
import importlib
import inspect
import re
import shlex
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import trio
from bench import make_parser
from cyclopts.exceptions import MissingArgumentError

from command_line import run_here
from documents import PAGES, ROOT, Block, Page, blocks, command_lines, commands
from local_swarm import contents, make_file, tracker
from trio_swarm.cli.app import make_app
from trio_swarm.config.reading import check_strategies, read_config
from trio_swarm.config.scenarios import read_scenario
from trio_swarm.schedulers import api
from trio_swarm.testing import scheduler_contract

README, STRATEGIES = PAGES["README.md"], PAGES["strategies.md"]

PROGRAMS = {block.label: block.text for block in blocks("python")}
RUN_HERE = {
    "example.py",
    "service.py",
    "my_strategy.py",
    "tail-first",
    "tests/test_contract.py",
    "interfaces",
}
"""Programs that a test below runs."""

TYPED = {"trio-swarm", "make", "pip", "pytest", "python3", ".", "$EDITOR", ".venv/bin/pytest"}
"""What a line to type begins with."""


# --- programs -------------------------------------------------------------------------------------


def test_every_program_is_run_by_one_of_these_tests() -> None:
    assert PROGRAMS.keys() == RUN_HERE


async def test_the_embedding_example_runs_as_printed(tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(PROGRAMS["example.py"], encoding="utf-8")
    source = make_file(tmp_path / "in" / "data.bin", 300_000)
    with trio.fail_after(60):
        async with tracker() as url:
            result = await trio.run_process(
                [sys.executable, str(program), url, str(source), str(tmp_path / "out")],
                capture_stdout=True,
                env={"XDG_STATE_HOME": str(tmp_path / "state")},
            )
    # Both ends may dial at once, and the last blocks may come twice.
    told = result.stdout.decode()
    assert sum(map(int, re.findall(r"(\d+) bytes came from 127.0.0.1:", told))) >= 300_000
    assert sum(map(int, re.findall(r"(\d+) bytes were fetched", told))) >= 300_000
    assert contents(tmp_path / "out" / "data.bin") == contents(source)


async def test_the_example_of_a_service_runs_as_printed(tmp_path: Path) -> None:
    program = tmp_path / "service.py"
    program.write_text(PROGRAMS["service.py"], encoding="utf-8")
    source = make_file(tmp_path / "in" / "data.bin", 300_000)
    with trio.fail_after(60):
        async with tracker() as url:
            result = await trio.run_process(
                [sys.executable, str(program), url, str(source), str(tmp_path / "out")],
                capture_stdout=True,
                env={"XDG_STATE_HOME": str(tmp_path / "state")},
            )
    assert result.stdout == b"data.bin is done\n"
    assert contents(tmp_path / "out" / "data.bin") == contents(source)


def test_the_strategy_in_one_file_loads_with_its_option(tmp_path: Path) -> None:
    plugin = tmp_path / "my_strategy.py"
    plugin.write_text(PROGRAMS["my_strategy.py"], encoding="utf-8")
    code, out, _ = run_here("schedulers", "--plugin", plugin)
    assert code == 0
    assert "in-order" in out
    assert "skip: int = 0" in out
    assert "Begin at this piece" in out


def test_the_strategy_of_ten_minutes_fits_into_the_scaffold_and_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_here("plugin", "new", "tail-first", "--out", tmp_path / "it")[0] == 0
    module = tmp_path / "it" / "trio_swarm_tail_first" / "__init__.py"
    source = re.sub(
        r"@dataclass\nclass .*",
        lambda _: PROGRAMS["tail-first"],
        module.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    assert "class TailFirst" in source
    module.write_text(source, encoding="utf-8")
    code, out, _ = run_here("schedulers", "--plugin", module.parent)
    assert code == 0
    assert "tail_mib: float = 1.0  How much of the end comes first, MiB." in out
    plugin = types.ModuleType("trio_swarm_tail_first")
    exec(compile(source, str(module), "exec", dont_inherit=True), plugin.__dict__)
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    test = types.ModuleType("test_contract")
    exec(compile(PROGRAMS["tests/test_contract.py"], "test", "exec", dont_inherit=True), vars(test))
    names = {name for name in dir(test.TestTailFirst) if name.startswith("test_")}
    expected = scheduler_contract(plugin.TailFirst, fills_room=True)
    assert names == {name for name in dir(expected) if name.startswith("test_")}


def test_the_interfaces_are_those_of_the_code() -> None:
    shown: dict[str, Any] = {"__name__": "interfaces"}
    exec(compile(PROGRAMS["interfaces"], "interfaces", "exec", dont_inherit=True), shown)
    for kind in ("Scheduler", "Uploader", "Choker"):
        there = {
            name: inspect.signature(method)
            for name, method in vars(getattr(api, kind)).items()
            if not name.startswith("_")
        }
        here = {name: inspect.signature(getattr(shown[kind], name)) for name in there}
        assert here == there


# --- commands -------------------------------------------------------------------------------------


def test_every_line_to_type_is_of_a_known_program() -> None:
    for line in command_lines():
        assert line.split()[0] in TYPED, f"mark the block as ```text if it is no command: {line}"


@pytest.mark.parametrize(
    ("arguments", "is_whole"),
    [pytest.param(*each, id=" ".join(each[0])) for each in commands("trio-swarm")],
)
def test_every_command_parses(arguments: list[str], *, is_whole: bool) -> None:
    app = make_app(*arguments[:2])
    try:
        app.parse_args(arguments, exit_on_error=False, print_error=False)
    except MissingArgumentError:
        assert not is_whole


def test_files_that_commands_take_from_the_checkout_are_there() -> None:
    words = [word for line in command_lines() for word in shlex.split(line, comments=True)]
    named = [word for word in words if word.startswith(("config/", "plugins/", "tests/"))]
    assert len(named) > 5
    for word in named:
        assert (ROOT / word).exists(), word


def test_every_make_target_exists_and_takes_the_arguments() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = commands("make")
    assert len(named) > 20
    for words, _ in named:
        target, *rest = words
        assert target in targets, target
        (given,) = [word.removeprefix("ARGS=") for word in rest if word[:5] == "ARGS="] or [""]
        if target.startswith("bench-"):
            part = target.removeprefix("bench-")
            assert isinstance(
                make_parser().parse_args([part, *shlex.split(given)]), argparse.Namespace
            )


# --- TOML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: f"{block.page} {block.label}")
def test_every_toml_block_is_read(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.toml"
    file.write_text(block.text, encoding="utf-8")
    if block.label == "scenario.toml":
        assert read_scenario(file).scenario(seed=1).bound > 0
        return
    config = read_config(file)
    if "tail-first" not in block.text and not config.plugins.paths:
        check_strategies(config, file=file)


# --- links and names ------------------------------------------------------------------------------

PLUGIN_PAGES = [Page(path) for path in (ROOT / "plugins").glob("*/README.md")]


@pytest.mark.parametrize("page", [*PAGES.values(), *PLUGIN_PAGES], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links():
        target, _, anchor = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        assert path.exists(), link
        if anchor:
            assert anchor in Page(path).anchors(), link


def test_every_page_is_in_the_readmes_table_of_documents() -> None:
    rows = README.rows("Documents")
    listed = {
        (ROOT / link).resolve() for row in rows for link in re.findall(r"\]\(([^)]+)\)", row[0])
    }
    assert {page.path for page in PAGES.values()} - {README.path} == listed


@pytest.mark.parametrize("name", [name for name in PAGES if "Contents:" in PAGES[name].text])
def test_a_pages_contents_name_all_its_sections(name: str) -> None:
    page = PAGES[name]
    sections = re.findall(r"^## (.*)$", page.text, re.MULTILINE)
    top = page.text[: page.text.index("\n## ")]
    listed = re.findall(r"\]\(#([^)]+)\)", top)
    assert listed == [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in sections]


def _code_names() -> list[str]:
    return sorted({code for page in PAGES.values() for code in page.inline_code()})


def test_every_module_and_name_written_with_its_package_exists() -> None:
    names = [name for name in _code_names() if re.fullmatch(r"trio_swarm(\.\w+)+", name)]
    assert len(names) >= 3
    for name in names:
        assert _resolve(name) is not None, name


def _resolve(name: str) -> object:
    """Return the module, or what a module has by that name; raises if there is none."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        home, _, last = name.rpartition(".")
        return getattr(importlib.import_module(home), last)


def test_every_path_written_as_code_exists() -> None:
    folders = ("trio_swarm/", "tests/", "config/", "docs/", "plugins/", "tests/support")
    for name in _code_names():
        if name.startswith(folders) and name not in PROGRAMS and "*" not in name:
            assert (ROOT / name).exists(), name


def test_the_sources_refer_to_pages_that_exist() -> None:
    for folder in ("trio_swarm", "tests", "config", "plugins"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".toml", ".md"} and "build" not in path.parts:
                for page in re.findall(r"docs/[a-z-]+\.md", path.read_text(encoding="utf-8")):
                    assert (ROOT / page).exists(), f"{path}: {page}"
