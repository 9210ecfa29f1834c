# Each target makes its own .venv first; only Python 3.11+, make and a package index are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PHOTOS ?=

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint audit bench faults browser lock clean

help:  ## Say what can be done
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Sightline needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what the lock names (PyTorch is large: the first time takes a few minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/ready  ## Index photographs, search them, write a contact sheet (PHOTOS=folder for your own)
	@$(BIN)/sightline demo $(PHOTOS)

serve: $(VENV)/ready  ## Bring up everything and open the page's address
	@$(BIN)/sightline serve

test: $(VENV)/ready $(if $(CI),browser)  ## Run all tests on real servers
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest

lint: $(VENV)/ready  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(VENV)/ready  ## Look every locked dependency up among known vulnerabilities; fails where that data cannot be had
	@$(BIN)/uv tool run --from "pip-audit>=2.9" pip-audit --strict --disable-pip --require-hashes -r requirements.lock

bench: $(VENV)/ready  ## Measure stages and searches against a numpy exact scan
	@$(BIN)/python -m benchmarks

faults: $(VENV)/ready  ## Kill, pause and starve everything while it works; is anything lost? (SEED=, some minutes)
	@$(BIN)/python -m tests.drills.faults --images 2000 --rounds 20 $(if $(SEED),--seed $(SEED))

browser:  ## Install Chromium for the end-to-end test (Debian, as root); without it that test is skipped
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		chromium fonts-dejavu-core >/dev/null; } || echo "No Chromium: the end-to-end test will be skipped."

lock: $(VENV)/ready  ## Resolve the dependencies again
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--all-extras pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--extra telemetry --constraint requirements.lock pyproject.toml -o deploy/requirements.lock
	@echo hatchling | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--constraint requirements.lock - -o deploy/build.lock

clean:  ## Remove what the other targets made, except your library
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
