# Everything done with this checkout, by hand or by CI. Needs make, a POSIX shell, Python ≥ 3.11 and
# the package registry; each target makes what it needs, and a second run finds it there.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The Python to make the environment with: PYTHON=/path/to/python, or the first one that will do.
PYTHON ?=
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
# Arguments for pytest: make test ARGS="-k tracker"; for the demo: make demo ARGS="--help"; for a
# benchmark: make bench-peer ARGS="--size 4GiB".
ARGS ?=
# How often each benchmark is repeated.
REPEATS ?= 5
# Two pytest workers more than cores, for some tests wait for clocks and other processes: with one more,
# a quarter of two cores was idle. A file's tests stay together (loadfile), for many share a costly
# set-up. Which files go first: tests/conftest.py.
WORKERS ?= $(shell expr $$(nproc) + 2)
# Where PYTHONDONTWRITEBYTECODE is set, each worker of each run would compile all tests again: 5 of
# the 9 seconds in which it finds them.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Foreign clients and servers that tests/foreign runs, and the browser of tests/control/page, as
# command:package of Debian. A package whose command is there already is left alone: one of another
# origin may exclude Debian's (Node.js with npm in it does).
FOREIGN := aria2c:aria2 transmission-cli:transmission-cli qbittorrent-nox:qbittorrent-nox \
	opentracker:opentracker ip:iproute2 chromium:chromium npm:npm promtool:prometheus \
	transmission-remote-gtk:transmission-remote-gtk Xvfb:xvfb redis-server:redis-server
# Remotes of PyPI and npm that tests/foreign runs, in an environment of their own.
REMOTES := build/remotes
REMOTES_PYPI := transmission-rpc==7.0.12 tewi-torrent==3.0.0 stig==0.15.0a0
REMOTES_NPM := @ctrl/transmission@7.4.0 bittorrent-tracker@10.0.12

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-compiled check nightly kills build build-compiled compiled pure clean
.PHONY: foreign-clients remotes compiler
.PHONY: bench bench-peer bench-memory bench-tracker bench-hash bench-start bench-scheduler
.PHONY: bench-swarm bench-long bench-bloat bench-floods bench-tracker-floods
.PHONY: three-trackers bench-many bench-control profile

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) \
	| while IFS='|' read -r name text; do printf '%-20s %s\n' "$$name" "$$text"; done

venv: $(INSTALLED)  ## make .venv with the project (editable) and the tools of its dev group

# Debian's python3 comes without ensurepip, so a Python is good enough only if it can make a venv.
$(INSTALLED): pyproject.toml
	@set -eu; \
	good='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; \
	find_python() { \
		for candidate in $(if $(PYTHON),"$(PYTHON)",$(CANDIDATES)); do \
			if "$$candidate" -c "$$good" >/dev/null 2>&1; then echo "$$candidate"; return; fi; \
		done; \
	}; \
	if ! $(BIN)/python -c "$$good" >/dev/null 2>&1; then \
		python="$$(find_python)"; \
		if [ -z "$(PYTHON)$$python" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "No Python here can make a virtual environment: installing python3-venv"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
				apt-get install -y -qq --no-install-recommends python3-venv; \
			python="$$(find_python)"; \
		fi; \
		if [ -z "$$python" ]; then \
			echo "No Python >= 3.11 with venv and ensurepip found (Debian: python3-venv)." >&2; \
			echo "Name one: make PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		echo "Making $(VENV) with $$python ($$("$$python" --version))"; \
		"$$python" -m venv --clear $(VENV); \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev; \
	touch $@

demo: $(INSTALLED)  ## run the whole system in a scratch folder and compare the schedulers
	$(BIN)/trio-swarm demo $(ARGS)

test: $(INSTALLED) foreign-clients remotes  ## run the whole suite, on all cores
	$(BIN)/python $(PYTEST) $(ARGS)

# What is compiled behaves as its sources do: the tests of it run against a wheel in an environment of
# its own, which borrows everything else from this one. Strategies themselves are interpreted there, too.
COMPILED := build/compiled
# The dev group has what building needs.
WHEEL := $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation .
COMPILED_TESTS := $(wildcard $(addprefix tests/,building/test_compiled.py engine/test_*.py \
	engine/*/test_*.py lab/simulator/test_[prst]*.py recording/test_recorder.py \
	schedulers/test_ch*.py schedulers/test_spread.py tracker/test_[cprs]*.py))

test-compiled: $(COMPILED)/.installed  ## run the tests of the compiled modules against a compiled wheel
	PYTHONSAFEPATH=1 $(COMPILED)/env/bin/python $(PYTEST) $(ARGS) $(COMPILED_TESTS)

$(COMPILED)/.installed: pyproject.toml $(shell find trio_swarm -name '*.py') | $(INSTALLED) compiler
	@rm -rf $(COMPILED)
	@echo "Compiling the core, which takes a minute"
	@TRIO_SWARM_COMPILED=1 $(WHEEL) --wheel-dir $(COMPILED)/wheel
	@$(BIN)/python -m venv --without-pip $(COMPILED)/env
	@$(BIN)/python -m pip --python $(COMPILED)/env/bin/python install --quiet \
		--disable-pip-version-check --no-deps $(COMPILED)/wheel/*.whl
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> $$(ls -d $(COMPILED)/env/lib/python3*/site-packages)/borrowed.pth
	@PYTHONSAFEPATH=1 $(COMPILED)/env/bin/python -c 'import sys, trio_swarm.engine.download.ledger as it; \
		it.__file__.endswith(".so") or sys.exit("The wheel is not compiled")'
	@touch $@

check: $(INSTALLED)  ## lint, formatting, types, and the direction of the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Hypothesis marks what uses @given, so -m hypothesis is every property test and nothing else. What
# reads the bytes of strangers (parsers, packets, journals, configuration) is tested with 10,000
# examples each; models of whole swarms, schedulers and disks, slower by far, with 1,000.
READERS := $(addprefix tests/,protocol tracker announcing config storage/test_journal.py \
	recording/test_format.py)
PROPERTIES := $(BIN)/python -m pytest -m hypothesis -n $(WORKERS) --timeout 3600 $(ARGS)

nightly: $(INSTALLED)  ## run the property tests with 10,000 (models: 1,000) examples, half an hour
	HYPOTHESIS_PROFILE=nightly $(PROPERTIES) $(READERS)
	HYPOTHESIS_PROFILE=nightly-models $(PROPERTIES) $(addprefix --ignore=,$(READERS)) tests

# Numbers say little while anything else runs on the machine. The foreign clients' own modules start
# the rivals, hence the path.
BENCH := PYTHONPATH=tests/support:tests/foreign $(BIN)/python tests/benchmarks/bench.py --repeats $(REPEATS)

# Some three thousand kills. Changes between two disks need a temporary folder that is not in /dev/shm.
kills: $(INSTALLED)  ## kill a node at each step of each change, and tell what it then has, half an hour
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
		$(BIN)/python tests/support/killed_changes.py "$$scratch" --jobs $(WORKERS) $(ARGS)

bench: bench-peer bench-memory bench-tracker bench-hash bench-scheduler bench-start  ## run all benchmarks

bench-peer: $(INSTALLED) foreign-clients  ## compare transfers with libtorrent, aria2, no protocol
	$(BENCH) peer $(ARGS)

bench-memory: $(INSTALLED)  ## measure the memory of a large download and of a crowded seeder
	$(BENCH) memory $(ARGS)

bench-tracker: $(INSTALLED) foreign-clients  ## compare announces a second with opentracker
	$(BENCH) tracker $(ARGS)

bench-hash: $(INSTALLED)  ## compare hashing with hashlib alone
	$(BENCH) hash $(ARGS)

bench-scheduler: $(INSTALLED)  ## time what decisions cost
	$(BENCH) scheduler $(ARGS)

bench-start: $(INSTALLED)  ## time commands that only say something
	$(BENCH) start $(ARGS)

# Every kind of flood at either end, which takes five minutes: not part of `make bench`.
bench-floods: $(INSTALLED)  ## measure what a transfer loses while strangers flood one of its ends
	$(BENCH) floods $(ARGS)

bench-tracker-floods: $(INSTALLED)  ## what a tracker keeps, and how soon it answers, under floods
	$(BENCH) tracker-floods $(ARGS)

# Half a minute a round: not part of `make bench`.
three-trackers: $(INSTALLED)  ## what clients see while one of three trackers, then their engine, dies
	$(BIN)/python tests/benchmarks/bench_three_trackers.py $(ARGS)

# A minute and a half a round, and twice that against another checkout: not part of `make bench`.
bench-many: $(INSTALLED)  ## measure what thousands of idle shares in one node cost
	$(BENCH) many $(ARGS)

bench-control: $(INSTALLED)  ## measure what a transfer loses while somebody looks at its page
	$(BENCH) control $(ARGS)

# Needs root, takes an hour and the whole machine: not part of `make bench`.
bench-swarm: $(INSTALLED) foreign-clients  ## compare swarms on shaped links with the least time possible
	$(BENCH) swarm $(ARGS)

# Needs root, and half an hour of the whole machine: not part of `make bench`.
bench-long: $(INSTALLED) foreign-clients  ## compare transfers over long, fat, lossy and unlike links
	$(BENCH) long $(ARGS)

# Needs root, and a quarter of an hour of the whole machine: not part of `make bench`.
bench-bloat: $(INSTALLED) foreign-clients  ## time control messages behind a full uplink with a long buffer
	$(BENCH) bloat $(ARGS)

profile: $(INSTALLED)  ## show where the time of a transfer goes, on either side
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check py-spy
	$(BENCH) profile $(ARGS)

build: $(INSTALLED)  ## build the wheel for every platform into dist/, in seconds
	$(WHEEL) --wheel-dir dist

build-compiled: $(INSTALLED) compiler  ## build one with the compiled core into dist/, for machines like this
	@echo "Compiling the core, which takes a minute"
	TRIO_SWARM_COMPILED=1 $(WHEEL) --wheel-dir dist

compiled: $(INSTALLED) compiler  ## compile the core in this checkout: simulations run much faster
	$(BIN)/python trio_swarm/building/compiled.py --in-place

pure:  ## remove what `make compiled` made, so that the sources run
	find trio_swarm -name '*.so' -delete

clean: pure  ## remove what the other targets made
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

compiler: $(INSTALLED)  ## install what compiling needs, a C compiler and Python's headers, if it is not there
	@there='import pathlib, sys, sysconfig; \
		sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'; \
	if command -v cc >/dev/null && $(BIN)/python -c "$$there"; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing a C compiler"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends gcc libc6-dev python3-dev >/dev/null; \
	else \
		echo "No C compiler or no Python headers (Debian: gcc, libc6-dev and python3-dev)" >&2; \
		exit 1; \
	fi

# Never a reason to fail: without these programs their tests say so and are skipped (with CI=true
# they fail). iproute2 makes the network namespace they all live in.
foreign-clients:  ## install the foreign clients that tests run, if they are not there
	@missing=""; \
	for each in $(FOREIGN); do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v $${each%:*} >/dev/null \
		|| missing="$$missing $${each#*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing foreign clients for the tests:$$missing"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } \
		|| echo "Could not install them; their tests will be skipped" >&2; \
	else \
		echo "Not installed:$$missing. Their tests will be skipped; as root on Debian or Ubuntu" >&2; \
		echo "make test installs them" >&2; \
	fi

# Never a reason to fail, as above. What is installed is named in the file, so new versions replace it.
remotes: $(INSTALLED) foreign-clients  ## install the remotes for Transmission's RPC that tests run
	@wanted="$(REMOTES_PYPI) $(REMOTES_NPM)"; \
	if [ "$$(cat $(REMOTES)/.installed 2>/dev/null)" = "$$wanted" ]; then exit 0; fi; \
	echo "Installing remotes for the tests: $$wanted"; \
	{ rm -rf $(REMOTES) && $(BIN)/python -m venv $(REMOTES)/env \
		&& $(REMOTES)/env/bin/python -m pip install --quiet --disable-pip-version-check $(REMOTES_PYPI) \
		&& npm install --prefix $(REMOTES) --ignore-scripts --silent --no-audit --no-fund $(REMOTES_NPM) \
		&& echo "$$wanted" > $(REMOTES)/.installed; } \
	|| echo "Could not install them; their tests will be skipped" >&2
