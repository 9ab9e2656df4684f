PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed

.PHONY: demo demo-strings test setup lint docs clean

# Trains the same model under two policies, with the same number of tokens, and shows the arms of both side by side. A
# second call continues where the first one stopped, and only writes the report if both have finished.
demo: $(INSTALLED)
	$(BIN)/dumpgym compare experiments/demo/knights_knaves.toml --live
	$(BIN)/dumpgym report runs/demo

demo-strings: $(INSTALLED)
	$(BIN)/dumpgym compare experiments/demo/strings.toml --live
	$(BIN)/dumpgym report runs/demo_strings

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy -p dumpgym

# Builds the site in site/; a broken link or reference fails (but not under --quiet, which drops the warnings that
# --strict counts). To read it: $(BIN)/mkdocs serve
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

setup: $(INSTALLED)

# torch comes first and by itself, so that TORCH decides the build, e.g. `make setup TORCH="torch==2.11.0"`.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("dumpgym needs Python 3.11 or newer: make setup PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

# Keeps the environment and the runs, which took long to make.
clean:
	rm -rf build dist site *.egg-info .coverage htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
