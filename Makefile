# Everything that a fresh machine with Python 3.11 or newer needs: `make run` to see it work, `make check` to test it.

PYTHON ?= python3
ARGS ?=
# Tests at once: most of the real ones wait for a clock and not for a processor.
AT_ONCE ?= 4

VENV := .venv
BIN := $(VENV)/bin
STATE := .state
PIP := $(BIN)/python -m pip -qq --no-input --disable-pip-version-check
# Debian packages that some of the real tests need; without them these tests are skipped, and counted.
SYSTEM := cron busybox util-linux faketime logrotate vim-tiny systemd bash zsh fish mandoc groff-base prometheus

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run check lint style format types floors sizes test prove bench man lock clean

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## Run the examples of jobs.d in the foreground, until Ctrl-C
	@$(BIN)/runjobs run --foreground --jobs jobs.d --state $(STATE) --trust-jobs $(ARGS)

check: lint $(VENV)/.system ## Everything that has to pass before a change is taken
	@$(BIN)/python -m pytest -q -rfEs -n $(AT_ONCE) --dist loadgroup --cov --cov-report= $(ARGS) </dev/null
	@$(BIN)/python -m coverage report --skip-covered --include='runjobs/core/*' --fail-under=100
	@echo "make check: all is well"

lint: style types floors sizes ## Style, types, floors and sizes, without running a test

style: $(VENV)/.dev
	@$(BIN)/python -m ruff check --quiet .
	@$(BIN)/python -m ruff format --quiet --check . || { echo "  try: make format" >&2; exit 1; }

format: $(VENV)/.dev ## Put the code into the shape that `make lint` asks for
	@$(BIN)/python -m ruff check --quiet --fix-only .
	@$(BIN)/python -m ruff format --quiet .

types: $(VENV)/.dev
	@$(BIN)/python -m mypy --no-error-summary

floors: $(VENV)/.dev
	@$(BIN)/lint-imports --no-logo >$(VENV)/floors.log || { cat $(VENV)/floors.log; exit 1; }

sizes: $(VENV)/.dev
	@$(BIN)/python .ci/sizes.py runjobs

test: $(VENV)/.dev ## The tests alone; ARGS="tests/unit -k crontab" picks some
	@$(BIN)/python -m pytest -q $(ARGS) </dev/null

prove: $(VENV)/.dev ## Kill runners and guards at random, restart them, crowd them, and judge; ARGS="--kills 50 --seed 7"
	@$(BIN)/python -m tests.prove $(ARGS)

bench: $(VENV)/.dev ## The measurements, beside a peer in the same run
	@$(BIN)/python -m bench $(ARGS)

man: $(VENV)/.dev ## Write the pages of the manual from the help and the documents
	@$(BIN)/python .ci/manual docs/man

lock: $(VENV)/.dev ## Write down the versions of all that is installed here, for others to develop with
	@{ sed -n '/^#/p' requirements-dev.lock; $(BIN)/python -m pip freeze --exclude-editable --exclude runjobs; } >$(VENV)/lock
	@mv $(VENV)/lock requirements-dev.lock

clean: ## Remove all that make and the tools have made
	@rm -rf $(VENV) $(STATE) .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find . -name __pycache__ -prune -exec rm -rf {} +

# The stamps: each says that what it is named for was installed, and is redone when what it depends on changes.

$(VENV)/.python:
	@test -w . || { echo "make: this checkout can't be written to, and $(VENV) has to go somewhere;" \
	  "copy or clone it to a folder of yours" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Python 3.11 or newer is needed; say which one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: this Python has no venv module; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: pyproject.toml | $(VENV)/.python
	@echo "make: installing runjobs into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

# The lock makes every machine test the same versions; where they can't be had, the bounds of pyproject.toml hold.
$(VENV)/.dev: pyproject.toml requirements-dev.lock | $(VENV)/.python
	@echo "make: installing runjobs and what its tests need into $(VENV)"
	@$(PIP) install --constraint requirements-dev.lock --editable '.[dev]' || \
	  { echo "make: the locked versions can't be had here, taking what pyproject.toml allows" >&2; \
	    $(PIP) install --editable '.[dev]'; }
	@touch $@ $(VENV)/.runtime

$(VENV)/.system: | $(VENV)/.python
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $(SYSTEM) >/dev/null 2>&1; then \
	  echo "make: installing $(SYSTEM) for the real tests"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  get="timeout 300 apt-get install -y -qq --no-install-recommends"; \
	  { timeout 300 apt-get update -qq && { $$get $(SYSTEM) || for each in $(SYSTEM); do $$get $$each; done; }; } \
	    </dev/null >$(VENV)/apt.log 2>&1 || echo "make: some can't be had here; the tests that need them are skipped"; \
	fi
	@touch $@
