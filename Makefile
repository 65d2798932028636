PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: check test lint figures benchmarks clean

check: $(STAMP)  ## hold every claim beside measured error, on synthetic and real problems
	$(BIN)/proofs-check run --profile quick

test: $(STAMP)  ## run the tests, compiled and then interpreted (for coverage of the kernels)
	$(BIN)/python -m pytest -n 2 --dist worksteal
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not compiled" \
	  --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: $(STAMP)  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

figures: $(STAMP)  ## every figure, into output/figures
	$(BIN)/python -m figures

benchmarks: $(STAMP)  ## ours beside the peers'
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) output

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[data,test]"
	touch $@
