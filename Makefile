PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
DEMO = runs/demo

.PHONY: demo test setup lint clean

# Trains the embedded student with the default configuration; a second call goes on where the first one stopped.
demo: $(INSTALLED)
	@if test -e $(DEMO)/config.json; then resume=--resume; else resume=; fi; \
	set -x; $(BIN)/dumpgym train --output $(DEMO) $$resume

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy -p dumpgym

setup: $(INSTALLED)

# torch comes first and by itself, so that TORCH decides the build, e.g. `make setup TORCH="torch==2.11.0"`.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("dumpgym needs Python 3.11 or newer: make setup PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

# Neither the environment nor the runs: those took long to make.
clean:
	rm -rf build dist *.egg-info .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
