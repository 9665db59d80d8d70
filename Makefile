# make run    set up, run the study named in config/config.yaml, and write its report
# make test   set up and run the tests
# make slurm-test   the same study on a real SLURM on this machine, as root
# make lint   ruff, mypy and snakefmt
# make bench  our chains beside a plain per-seed loop: ratios and peak memory
# make plan   what the study costs
# make schema regenerate the JSON schema of the study file
# make lock   pin again what envs/locks/*.in ask for
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake --profile profiles/local
PIP := $(BIN)/python -m pip install --quiet --no-deps --disable-pip-version-check

.PHONY: run test slurm-test lint bench plan schema lock clean

run: $(VENV)/core
	$(SNAKEMAKE)
	$(SNAKEMAKE) --report results/report.html --quiet all
	@cat results/tables/summary.txt && echo "report: results/report.html"

test: $(VENV)/dev
	$(BIN)/python -m pytest --numprocesses 2

# Starts a cluster of two nodes; needs root, and Debian's packages, which it installs.
slurm-test: $(VENV)/dev
	tests/slurm/cluster start $(VENV)/slurm
	$(BIN)/python -m pytest tests/slurm; status=$$?; \
	  tests/slurm/cluster stop $(VENV)/slurm; exit $$status

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules

bench: $(VENV)/dev
	PYTHONPATH=scripts $(BIN)/python benchmarks/bench.py

plan: $(VENV)/core
	@$(SNAKEMAKE) plan --quiet all

schema: $(VENV)/core
	PYTHONPATH=scripts $(BIN)/python -m collapse.study > config/schemas/study.schema.json

lock:
	cd envs/locks && for name in core dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header \
	    --no-emit-index-url --no-emit-find-links --override overrides.txt \
	    $$name.in --output-file $$name.txt; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"Python 3.11 or newer is needed, {sys.version.split()[0]} found: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# The locks are complete, so dependencies are not resolved again (envs/locks/overrides.txt).
$(VENV)/core: envs/locks/core.txt | $(BIN)/python
	$(PIP) --requirement envs/locks/core.txt
	@touch $@

$(VENV)/dev: envs/locks/dev.txt $(VENV)/core
	$(PIP) --requirement envs/locks/dev.txt
	@touch $@

clean:
	rm -rf $(VENV)
