# Every target sets up what it needs: the first call makes .venv, later calls reuse it until the dependencies change.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow lint format wheel benchmarks clean

demo: $(STAMP)
	$(VENV)/bin/portraitist demo

test: $(STAMP)
	$(VENV)/bin/python -m pytest

test-slow: $(STAMP)
	$(VENV)/bin/python -m pytest -m 'slow or fuzz' --hypothesis-profile=thorough

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(VENV)/bin/python

format: $(STAMP)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

wheel: $(STAMP)
	rm -rf dist
	$(VENV)/bin/python -m build --wheel

benchmarks: $(STAMP)
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[benchmarks]'
	$(VENV)/bin/python benchmarks/quality.py

clean:
	rm -rf $(VENV) dist output portraitist-demo

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python 3.11 or newer is needed: make PYTHON=python3.x')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	touch $@
