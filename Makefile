PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: check test browser lint figures benchmarks verdicts clean

check: $(STAMP)  ## hold every claim beside measured error, on synthetic and real problems
	$(BIN)/proofs-check run --profile quick

test: $(STAMP) browser  ## run the tests; then those of the library interpreted, for coverage of its kernels
	$(BIN)/python -m pytest -n 2 --dist worksteal
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not compiled" \
	  --cov --cov-report=term:skip-covered --cov-fail-under=94 tests/lsq_sketch

browser: $(STAMP)  ## Chromium for the tests of the HTML report; installed if root on Debian or Ubuntu
	@$(BIN)/python -m tests.browser >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
	      chromium fonts-dejavu-extra >/dev/null; } || true
	@$(BIN)/python -m tests.browser

lint: $(STAMP)  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

figures: $(STAMP)  ## every figure, into output/figures
	$(BIN)/python -m figures

benchmarks: $(STAMP)  ## ours beside the peers'
	$(BIN)/python -m benchmarks

verdicts: $(STAMP)  ## a full run (ten minutes), and its verdicts into the README
	mkdir -p output
	$(BIN)/proofs-check run --profile full --evidence all --json output/verdicts.json
	$(BIN)/python -m proofs_check.report.readme output/verdicts.json README.md

clean:
	rm -rf $(VENV) output

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[data,test]"
	touch $@
