"""The OpenAPI document: valid, whole, and true of a running node."""

import os
import sys
from pathlib import Path

import msgspec
import pytest
import trio

from controlled_node import API, controlled
from local_swarm import make_file
from trio_swarm.control.api.document import document
from trio_swarm.control.api.routes import OPERATIONS

IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE", "").startswith("nightly")
EXAMPLES = 200 if IS_NIGHTLY else 2
"""For each operation."""
PHASES = "coverage,fuzzing,stateful" if IS_NIGHTLY else "fuzzing,stateful"
LIMIT = 1800.0 if IS_NIGHTLY else 90.0

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)


async def test_the_document_is_valid_and_has_every_operation(tmp_path: Path) -> None:
    """OpenAPI 3.1.0, by openapi-spec-validator 0.9."""
    validator = pytest.importorskip("openapi_spec_validator", reason="`make venv` installs it")
    async with controlled(tmp_path) as node, node.client() as client:
        told = (await client.get(f"{API}/openapi.json")).json()
    assert list(validator.OpenAPIV31SpecValidator(told).iter_errors()) == []
    assert told == msgspec.json.decode(msgspec.json.encode(document(OPERATIONS)))
    count = sum(len(methods) for methods in told["paths"].values())
    assert count == len(OPERATIONS)


@pytest.mark.hypothesis  # `make nightly` takes it with the other tests of many examples
async def test_whatever_is_asked_the_answer_is_a_documented_one(tmp_path: Path) -> None:
    """By schemathesis 4.32, which makes requests of the document, right and wrong ones.

    The streams never end, and what ends the node ends the test.
    """
    pytest.importorskip("schemathesis", reason="`make venv` installs it")
    make_file(tmp_path / "film.bin", 100_000)
    text = '[tracker]\n[[share]]\npath = "film.bin"\n'
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, text) as node:
            url = "http://{}:{}{}".format(*node.address, API)
            command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
            command += ["--url", url, "--no-color", "--checks", ",".join(CHECKS)]
            command += ["--phases", PHASES, "--max-examples", str(EXAMPLES)]
            for path in ("/stop", "/events", "/log"):
                command += ["--exclude-path", path]
            done = await trio.run_process(
                command, capture_stdout=True, capture_stderr=True, check=False, cwd=tmp_path
            )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-5000:]
