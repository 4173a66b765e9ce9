# Every target sets up what it needs first; where that is done already it costs a moment.
.PHONY: setup test lint demo bench soak
SHELL := /bin/bash
BIN := .venv/bin

setup:
	@scripts/setup.sh

test: setup
	$(BIN)/pytest -n 2 --dist loadfile --cov=stream_manager.recovery --cov-branch --cov-fail-under=100

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

demo: setup
	@$(BIN)/stream-manager demo

# The figures of docs/benchmarks.md; takes an hour.
bench: setup
	$(BIN)/python -m benchmarks --write

# Long campaigns that no commit needs to wait for.
soak: setup
	$(BIN)/pytest soak
