# make study    set up .venv and run the embedded study to its verdict
# make test     set up .venv and run all tests
# make help     every target

PYTHON ?= python3
LOCK   ?= deployments/requirements-cpu.txt
BIN    := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help study test test-slow faults bench lint audit format reference lock setup setup-cuda sandbox services clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

study: setup ## set up .venv, run data/studies/abacus.yaml, print the verdict and the report's path
	$(BIN)/mothertongue run data/studies/abacus.yaml

# Two at a time: most of them wait for an engine, a server or a process. A file's tests share what they start.
test: setup ## set up .venv and run all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup

test-slow: setup ## the tests that take minutes: whole studies, kill -9 on the real engine
	$(BIN)/python -m pytest -m slow

faults: setup ## kill -9, full disks, lost servers, damage, clock jumps, on real studies; what came out: docs/faults.md
	$(BIN)/python -m pytest tests/faults -rP

bench: setup ## the benchmarks of tests/bench, one after another
	for file in tests/bench/[a-z]*.py; do $(BIN)/python -m tests.bench.$$(basename $$file .py) || exit 1; done

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: setup ## known vulnerabilities of the locked packages; fails where they cannot be looked up
	@$(BIN)/python -m deployments.audit

format: setup ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: setup ## write docs/study-file.md anew from the schema of the study file
	$(BIN)/python -m flows.config.reference > docs/.study-file.md && mv docs/.study-file.md docs/study-file.md

setup: .venv/installed sandbox ## set up .venv for a CPU

# Debian packages, where they may be installed; where they may not, everything else works.
define install
	@! command -v apt-get >/dev/null 2>&1 || { \
		if [ "$$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi; \
		export DEBIAN_FRONTEND=noninteractive; install="$$as apt-get install -y -q --no-install-recommends $(1)"; \
		$$as true 2>/dev/null && { $$install || { $$as apt-get update -q && $$install; }; }; } >/dev/null 2>&1 || true
endef

# Programs that models write are run in bubblewrap only; without it tests of it are skipped, and `mothertongue doctor`
# says so.
sandbox:
	$(if $(shell command -v bwrap),,$(call install,bubblewrap))

# PostgreSQL for the Prefect server and a browser for its pages: tests of them are skipped where these are missing.
services: sandbox
	$(if $(wildcard /usr/lib/postgresql/*/bin/initdb),,$(call install,postgresql))
	$(if $(shell command -v chromium),,$(call install,chromium))

setup-cuda: ## set up .venv for CUDA
	$(MAKE) setup LOCK=deployments/requirements-cuda.txt

# The lock is whole, so nothing is resolved. The CPU build of torch is not on every index: where it is missing,
# it comes from the PyTorch project's own.
.venv/installed: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.11 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps $$(grep '^torch==' $(LOCK)) || \
		$(BIN)/python -m pip install -q --no-deps --index-url https://download.pytorch.org/whl/cpu $$(grep '^torch==' $(LOCK))
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r $(LOCK)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

EXTRAS  = --extra ray --extra s3 --extra pools --extra mlflow --extra dev
COMPILE = $(BIN)/uv pip compile pyproject.toml --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --no-annotate --no-header \
	--no-emit-index-url --no-emit-find-links --quiet

lock: setup ## resolve both locks anew from pyproject.toml
	$(COMPILE) --extra cpu $(EXTRAS) --excludes deployments/excluded-on-cpu.txt $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS)) -o deployments/requirements-cpu.txt
	$(COMPILE) --extra cuda $(EXTRAS) -o deployments/requirements-cuda.txt

clean: ## remove .venv and caches; results under runs/ stay
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache
