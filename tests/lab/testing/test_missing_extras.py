"""The test kit where pytest or Hypothesis is missing, as after a plain `pip install trio-swarm`."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("kit", ["trio_swarm.testing", "trio_swarm.lab.testing"])
@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_a_contract_that_cannot_be_imported_says_what_to_install(kit: str, missing: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"  # which makes its import fail
        f"import {kit}\nfrom {kit} import scheduler_contract\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: scheduler_contract needs {missing}, which is not installed: "
        "pip install 'trio-swarm[testing]'"
    )
    assert "During handling" not in done.stderr
