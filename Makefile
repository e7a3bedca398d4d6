# Everything happens in a virtual environment of the project's own (.venv); nothing needs root or a system Graphviz.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= outputs/char_names
TESTS ?=
TORCH ?= torch==2.13.0

.PHONY: help demo test check bench mutants alarms peers format clean

help:  ## say what each target does
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1: /'

$(VENV)/demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[all]"
	@touch $@

$(VENV)/dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(VENV)/demo  ## train the character model on real names, sample from it, draw its unrolled graph
	$(BIN)/python examples/char_names.py --out $(OUT)
	@echo "The pictures are in $(OUT)"

test: $(VENV)/dev  ## run the whole test suite, or TESTS=... of it (comparisons with PyTorch run after make peers)
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(TESTS)

check: $(VENV)/dev  ## ruff, mypy, and the import rules between floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_floors.py

peers: $(VENV)/dev  ## install PyTorch, which the comparison tests measure against
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"

$(VENV)/bench: pyproject.toml | peers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[peers]"
	@touch $@

bench: $(VENV)/bench  ## time layers, loops, start-up and a deep graph against PyTorch, JAX, HIPS autograd and MyGrad; memory
	$(BIN)/python -m benchmarks

mutants: $(VENV)/dev  ## put wrong rules into the table, one at a time: how many does the property suite find?
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m trust mutants

alarms: $(VENV)/dev  ## false alarms and false passes of the gradient check, on 10,000 random programs and nets
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m trust alarms

format: $(VENV)/dev  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and everything produced
	rm -rf $(VENV) outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis
