PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test bench lint types check clean

help: ## Show what there is to do
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

setup: $(VENV)/.installed ## Make .venv and install the pinned dependencies

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	touch $@

demo: setup ## Run the pretend site and the add-on, and print the URL to open
	$(BIN)/steward demo

lint: setup ## Style and the layers of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: setup ## Static types
	$(BIN)/mypy

test: setup lint types ## Everything: style, types, tests
	$(BIN)/pytest -n auto

bench: setup ## Print the cost table and write bench.json
	$(BIN)/python -m tests.benchmarks

clean: ## Remove what the build made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
