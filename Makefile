PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help setup demo check test coverage fuzz soak-model soak bench lint house types screenshots release audit clean

help: ## Show what there is to do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup: $(VENV)/.installed ## Make .venv and install the pinned dependencies

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --constraint constraints.txt --editable '.[demo]' --group dev
	touch $@

demo: setup ## Run the pretend site and the add-on, and print the URL to open
	$(BIN)/steward demo

lint: setup ## Style, and the layers of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

house: setup ## Draw the rooms, the imports between them, and what goes past a door
	$(BIN)/python docs/house.py $(if $(PAST),--past)

types: setup ## Static types
	$(BIN)/mypy

check: setup lint types ## The inner loop, under 3 minutes on 2 cores: style, layers, types, the fast tests of every room
	$(BIN)/pytest -m 'not long and not slow' --numprocesses auto --dist loadfile

test: setup lint types ## Everything, under 15 minutes on 2 cores: style, layers, types, all tests, what they cover
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile --durations=10
	$(BIN)/coverage combine --quiet
	@echo "Lines and branches covered, in percent:"
	@$(BIN)/coverage report --format=total

coverage: ## After `make test`: print what each module leaves uncovered, and write htmlcov/
	$(BIN)/coverage report --skip-covered --show-missing
	$(BIN)/coverage html --quiet

fuzz: setup ## Send many thousands of generated requests to every route
	STEWARD_FUZZ=$(or $(TIMES),10) $(BIN)/pytest tests/test_fuzz.py tests/connect/test_qsh_peer.py

soak-model: setup ## Long random histories of the engine, and a real death at each of its commits
	HYPOTHESIS_PROFILE=soak STEWARD_SOAK=$(or $(TIMES),1) $(BIN)/pytest tests/engine/test_model.py
	$(BIN)/pytest -m long tests/engine/test_model_finds_bugs.py tests/engine/test_failpoints.py

soak: soak-model ## Everything that takes too long for CI: race, kill and stop processes, a million rows; prints what was counted
	$(BIN)/pytest -m long tests/soak --numprocesses 0
	$(BIN)/pytest -m long tests/confluence tests/e2e tests/maintenance tests/sandbox tests/deploy --numprocesses 0

bench: setup ## Print the cost table and write bench.json
	$(BIN)/python -m tests.benchmarks

screenshots: setup ## Take the README's screenshots again, in a real browser
	STEWARD_SCREENSHOTS=1 $(BIN)/pytest -m e2e tests/e2e

release: $(VENV)/.release ## Build the wheel, the source archive, and the requirements with their hashes, into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra scale --constraint constraints.txt --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --output-file dist/requirements.txt pyproject.toml

audit: $(VENV)/.release ## Ask for known weaknesses of the pinned dependencies
	$(BIN)/pip-audit --disable-pip --no-deps --requirement constraints.txt

$(VENV)/.release: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --group release
	touch $@

clean: ## Remove what the build made
	rm -rf $(VENV) build dist htmlcov .coverage .mypy_cache .ruff_cache .pytest_cache
