# Everything done by hand here, one word each: `make help` lists it.
#   make setup PYTHON=python3.12      with another Python than `python3`
#   make accept N=3                   one acceptance point of the main job by its number
#   make accept N=systems-5           one of an area: systems, pace, trust, operate, ship (N=pace: all of it)
#   make bench BENCH=throughput       one bench by its name

PYTHON ?= python3
UV_VERSION := 0.13.9

# Deployments that `chaos` plays on side by side.
LANES ?= 4

# The tests of the decisions; `test` measures their coverage alone, as measuring all takes minutes.
CORE := tests/unit/domain tests/unit/services tests/unit/store tests/unit/cli tests/unit/cli_ops

# Tests run in so many processes. Acceptance tests wait more than they work; those of a file with a
# deployment of its own stay together. `make accept` measures, so it runs one after the other.
SPREAD := -n auto --dist worksteal
WAITING := 4

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --no-input --disable-pip-version-check

# A step leaves a stamp in .venv, so that it runs again only when what it rests on has changed.
MADE := $(VENV)/.made
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
DEV := $(VENV)/.dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test cover lint accept lowest bench chaos soak mutants lock clean

help: ## list these words
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv/ with the locked packages and the command .venv/bin/bulkdel
	@:

demo: setup ## set up, and run the main job on embedded defaults
	@$(BIN)/bulkdel demo

test: setup $(DEV) ## unit, conformance, integration and short acceptance tests
	@$(BIN)/pytest $(SPREAD) -m "not acceptance" $(CORE) --cov=worker.domain --cov=worker.services --cov-report=term
	@$(BIN)/pytest $(SPREAD) -m "not acceptance" $(addprefix --ignore=,$(CORE))
	@$(BIN)/pytest -n $(WAITING) --dist loadgroup -m acceptance

cover: setup $(DEV) ## the coverage of everything by all tests but acceptance (slower than `test`)
	@$(BIN)/pytest $(SPREAD) -m "not acceptance" --cov --cov-report=term

lint: setup $(DEV) ## formatting, lints, types, layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

accept: setup $(DEV) ## every acceptance point at full length (N=3, N=systems-5, N=systems: only that)
	@$(BIN)/pytest -m "acceptance or number" --full --timeout=3600 $(if $(N),--number $(N))

lowest: setup $(DEV) ## a whole job with the oldest packages that pyproject.toml allows
	@rm -rf build/lowest && mkdir -p build/lowest
	@$(BIN)/python -m hatchling build --target wheel --directory build/lowest >/dev/null
	@PYTHON=$(PYTHON) sh deploy/smoke.sh build/lowest/bulkdel-*.whl lowest-direct

bench: setup $(DEV) ## measure speed against targets and peers (BENCH=name: one of them; QUICK=1: a look)
	@BENCH="$(BENCH)" QUICK="$(QUICK)" $(BIN)/python -m bench

chaos: setup $(DEV) ## strike whole deployments with every fault of the table, and simulate 2,000 histories (35 min)
	@$(BIN)/python -m tests.simulation --seeds 2000 --processes 1 & simulation=$$!; \
	  $(BIN)/python -m tests.chaos --lanes $(LANES); chaos=$$?; \
	  wait $$simulation && exit $$chaos

soak: setup $(DEV) ## the same ten times over (6 hours)
	@$(BIN)/python -m tests.simulation --seeds 20000 --processes 1 & simulation=$$!; \
	  $(BIN)/python -m tests.chaos --lanes $(LANES) --times 10; chaos=$$?; \
	  wait $$simulation && exit $$chaos

mutants: setup $(DEV) ## put ten known bugs in, one by one, and see which test catches each
	@$(BIN)/python -m tests.mutants

lock: $(MADE) ## write the lock files anew from pyproject.toml (UPGRADE=1: with the newest versions)
	@$(PIP) install uv==$(UV_VERSION)
	@$(COMPILE) --group build --output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra flower --constraints requirements.lock --output-file requirements-flower.lock pyproject.toml
	@$(COMPILE) --group pyproject.toml:dev --constraints requirements.lock --output-file requirements-dev.lock

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

clean: ## remove .venv/, caches and build results (never .bulkdel/, which holds records)
	@rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find $(wildcard worker tests migrations bench) -type d -name __pycache__ -prune -exec rm -rf {} +

$(MADE):
	@command -v $(PYTHON) >/dev/null || \
	  { echo "setup: there is no '$(PYTHON)' here; give one that is 3.11 or newer: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); try: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "setup: making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "setup: '$(PYTHON) -m venv' failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

# A lock names every package it needs; left to look for more, pip stumbles over a newer release of
# one that is asked for with an extra.
$(LOCKED): requirements.lock $(MADE)
	@echo "setup: installing the packages of requirements.lock"
	@$(PIP) install --require-hashes --no-deps -r requirements.lock
	@touch $@

# Its build tools are in the lock, so nothing is fetched here that has no hash.
$(INSTALLED): pyproject.toml $(LOCKED)
	@echo "setup: installing bulkdel itself"
	@$(PIP) install --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(LOCKED)
	@echo "setup: installing the packages of requirements-dev.lock"
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@touch $@
