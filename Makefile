PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help venv predict test test-slow bench bench-peers bench-readme mutations lint format claims validate figures notebooks readme paper clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# Two stamps: the package alone is enough to predict; the tools are installed when they are needed.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml | $(BIN)/python
	$(PIP) install -e .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(PIP) install -e ".[dev]"
	@touch $(BASE) $@

venv: $(DEV)  ## make .venv with the package and all tools

predict: $(BASE)  ## predict the capture of 1.27 Mpps of 64-byte frames, with reasons
	$(BIN)/capmodel predict --rate 1.27e6 --size 64 --backend pf_packet --reasons

test: lint  ## check style and types, run the tests
	$(BIN)/python -m pytest -n 2

test-slow: $(DEV)  ## run the tests that take long
	$(BIN)/python -m pytest -n 2 -m slow

lint: $(DEV)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)  ## put the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)  ## measure speed and accuracy
	$(BIN)/python -m benchmarks

bench-peers: $(DEV)  ## install what bench compares with, apart from all else
	$(BIN)/python -m benchmarks.peers.install

bench-readme: $(DEV)  ## measure, and put the tables into benchmarks/README.md
	$(BIN)/python -m benchmarks --write

mutations: $(DEV)  ## break formulas one by one and see which test notices
	$(BIN)/python tools/mutations.py

claims: $(BASE)  ## evaluate the claims of the literature
	$(BIN)/capmodel claims

validate: $(BASE)  ## compare predictions with published measurements
	$(BIN)/capmodel validate

figures: $(DEV)  ## draw the figures of the paper
	$(BIN)/python paper/figures.py

notebooks: $(DEV)  ## execute the examples into notebooks
	$(BIN)/python tools/execute_notebooks.py

readme: $(BASE)  ## put the output of its commands into README.md
	$(BIN)/python tools/readme.py

paper: $(DEV)  ## put the numbers of model and data into the paper
	$(BIN)/python paper/build.py

clean:  ## remove what the other targets made, except committed results
	rm -rf $(VENV) .venv-peers build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find capmodel tests benchmarks tools examples -name __pycache__ -type d -prune -exec rm -rf {} + \
		2>/dev/null || true
