"""Compile the pure core with mypyc: the same modules, as machine code beside their sources.

What is compiled is listed in pyproject.toml, in the table of the build hook. Run as a program, with
mypy, setuptools and a C compiler at hand:

    python trio_swarm/building/compiled.py --into FOLDER    # for a wheel: see `wheel_hook`
    python trio_swarm/building/compiled.py --in-place       # make compiled
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "trio_swarm"

GROUP = "compiled"
"""The library with all of the code is `trio_swarm.compiled__mypyc`; each module is a stub that
asks it. In one library they call each other as C functions."""

OPTIMIZE = "2"
"""Simulations run 5 % faster than with level 1, for which the compiler takes a fifth less. Level 3
takes another fifth, and what it makes is no faster."""

MYPY_CONFIG = """\
[mypy]
ignore_missing_imports = True
follow_imports = skip
[mypy-trio_swarm.*,msgspec.*,mypy_extensions.*]
follow_imports = silent
"""
"""Types come from the package and from msgspec only, even where Trio and others are installed."""

EXTENSION: str = sysconfig.get_config_var("EXT_SUFFIX") or ".so"


class Extension(Protocol):
    """What is used of setuptools' class, which tells no types."""

    name: str
    sources: list[str]
    include_dirs: list[str]
    extra_compile_args: list[str]


def listed_sources(root: Path = ROOT) -> list[Path]:
    """Return the modules to compile, as sorted paths within `root`.

    Raises `ValueError` if a name or pattern of the table fits no file.
    """
    with (root / "pyproject.toml").open("rb") as file:
        targets = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]
    table = targets["wheel"]["hooks"]["custom"]
    listed, left_out = (_matching(root, table[key]) for key in ("compile", "interpret"))
    return sorted(path.relative_to(root) for path in listed - left_out)


def _matching(root: Path, patterns: Sequence[str]) -> set[Path]:
    found: set[Path] = set()
    for pattern in patterns:
        paths = set(root.glob(pattern))
        if not paths:
            raise ValueError(f"pyproject.toml: no module is called {pattern}")
        found |= paths
    return found


def compile_into(folder: Path, root: Path = ROOT) -> None:
    """Compile the listed modules; the libraries appear in `folder` as they lie in a wheel.

    Prints what mypyc and the compiler find wrong. Raises `SystemExit` if that is mypyc, `OSError`,
    `CompileError` or `LinkError` if it is the compiler, `ImportError` without mypy or setuptools.
    """
    with tempfile.TemporaryDirectory() as scratch:
        extensions = _translate(root, listed_sources(root), Path(scratch))
        _build(extensions, Path(scratch, "objects"), folder)


def _translate(root: Path, sources: Iterable[Path], scratch: Path) -> list[Extension]:
    """Let mypyc write C, one file a module, so that all cores can compile."""
    import setuptools  # noqa: F401, PLC0415 - mypyc makes its extensions of it, if it is loaded
    from mypyc.build import mypycify  # noqa: PLC0415 - heavy, and only there while building

    config = scratch / "mypy.ini"
    config.write_text(MYPY_CONFIG)
    os.chdir(root)  # mypy names modules by their paths from here
    options = [f"--config-file={config}", f"--cache-dir={os.devnull}"]
    extensions: list[Extension] = mypycify(
        [*options, *map(str, sources)],
        opt_level=OPTIMIZE,
        debug_level="0",
        multi_file=True,
        target_dir=str(scratch),
        group_name=f"{PACKAGE}.{GROUP}",
    )
    for extension in extensions:
        # The library's header is written beside the library, in the package.
        extension.include_dirs.append(str(scratch / PACKAGE))
        # What a later compiler warns of is no reason to go without.
        flags = extension.extra_compile_args
        extension.extra_compile_args = [flag for flag in flags if flag != "-Werror"]
    return extensions


def _build(extensions: Sequence[Extension], objects: Path, folder: Path) -> None:
    """Compile and link on all cores, with the compiler and the flags that Python was made with.

    setuptools' own command takes the files of one library one after the other.
    """
    from distutils.ccompiler import new_compiler  # noqa: PLC0415 - setuptools brings it
    from distutils.sysconfig import customize_compiler  # noqa: PLC0415

    compiler = new_compiler()
    customize_compiler(compiler)
    headers = [sysconfig.get_path(name) for name in ("include", "platinclude")]

    def compiled(extension: Extension, source: str) -> list[str]:
        return compiler.compile(
            [source],
            output_dir=str(objects),
            include_dirs=[*headers, *extension.include_dirs],
            extra_postargs=extension.extra_compile_args,
        )

    def linked(extension: Extension, parts: list[Future[list[str]]]) -> None:
        library = f"{folder.joinpath(*extension.name.split('.'))}{EXTENSION}"
        compiler.link_shared_object([path for part in parts for path in part.result()], library)

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        parts = [
            [workers.submit(compiled, extension, source) for source in extension.sources]
            for extension in extensions
        ]
        libraries = [
            workers.submit(linked, extension, futures)
            for extension, futures in zip(extensions, parts, strict=True)
        ]
    for future in libraries:
        future.result()


def built_libraries(root: Path = ROOT) -> list[Path]:
    """Return the libraries that lie beside their sources, of whatever Python."""
    return sorted((root / PACKAGE).rglob("*.so"))


def compile_in_place(root: Path = ROOT) -> None:
    """Compile beside the sources, unless what is there is newer than they are."""
    sources = listed_sources(root)
    wanted = {root / path.with_name(path.stem + EXTENSION) for path in sources}
    wanted.add(root / PACKAGE / f"{GROUP}__mypyc{EXTENSION}")
    there = built_libraries(root)
    inputs = [root / "pyproject.toml", Path(__file__), *(root / path for path in sources)]
    if wanted == set(there):
        newest = max(path.stat().st_mtime for path in inputs)
        if newest < min(path.stat().st_mtime for path in there):
            return
    begun = time.time()
    with tempfile.TemporaryDirectory() as folder:
        compile_into(Path(folder), root)
        for path in there:
            path.unlink()
        for path in built_libraries(Path(folder)):
            # Older than what is saved while the compiler runs.
            os.utime(path, (begun, begun))
            shutil.move(path, root / path.relative_to(folder))


def main() -> None:
    """Do what the one option says."""
    parser = argparse.ArgumentParser(description="Compile the core of trio-swarm with mypyc.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--into", type=Path, metavar="FOLDER", help="compile for a wheel")
    what.add_argument("--in-place", action="store_true", help="compile beside the sources")
    options = parser.parse_args()
    try:
        if options.into:
            compile_into(options.into.absolute())
        else:
            compile_in_place()
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {error.cmd[0]} failed with exit code {error.returncode}")
    except Exception as error:  # noqa: BLE001  whatever it is, the hook tells it in one line
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
