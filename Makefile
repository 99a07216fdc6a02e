# Everything is set up by the first target that needs it, in .venv; nothing outside this folder is touched.
PYTHON ?= python3
# Which build of torch: empty for PyPI's (5.3 GB, with CUDA); cpu (0.7 GB), cu126, ... for one of PyTorch's own index.
TORCH ?=
INDEX := https://download.pytorch.org/whl
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo rehearse test test-all test-slurm soak bench bench-compare test-gpu bench-gpu lint docs docs-serve screenshots clean

# A launch ends with the table.
demo: $(VENV)/.ready
	$(BIN)/dfcil-sweep launch sweeps/demo.yaml
	@printf '\nNext:\n'
	@printf '  %-52s %s\n' 'source $(BIN)/activate' 'the command dfcil-sweep, in this terminal' \
		'dfcil-sweep ui demo' 'every accuracy, curve and dream, in MLflow' \
		'dfcil-sweep report demo --format html -o demo.html' 'a page with figures, matrices and dreams' \
		'dfcil-sweep init' 'a first spec of your own'

# Every method of both CIFAR-100 tables, all splits, one seed, on made-up images: twenty minutes on two CPU cores.
rehearse: $(VENV)/.ready
	for name in cifar100-data-free cifar100-coreset; do \
		$(BIN)/dfcil-sweep launch $$name --rehearse --set 'seeds=[0]' && \
		$(BIN)/dfcil-sweep report $$name-rehearsal || exit 1; \
	done

# All but the long proofs: as many processes as there are cores, a file's tests in one of them.
test: $(VENV)/.ready
	$(BIN)/python -m pytest -m 'not server and not long' -n auto --dist loadfile

# The long proofs too: launchers and tuners that are killed, servers that go down, every spec rehearsed.
test-all: test
	$(BIN)/python -m pytest -m 'long and not server'

# A sweep and a search through sbatch: needs root and Debian's slurmctld, slurmd, slurm-client and munge; two minutes of
# two cores.
test-slurm: $(VENV)/.ready
	CI=true $(BIN)/python -m pytest -m server tests/cluster/test_slurm.py

# Thirty random kills of workers and launchers over a small sweep: about five minutes on two CPU cores.
soak: $(VENV)/.ready
	$(BIN)/python -m tests.support.soak --kills 30

# What a step of each method costs, beside a plain one: within ten minutes of a quiet core. bench.json has all numbers.
bench: $(VENV)/.ready
	$(BIN)/python -m benchmarks.steps --json bench.json --markdown bench.md

# This tree's steps beside those of another revision: make bench-compare BASE=main
bench-compare: $(VENV)/.ready
	$(BIN)/python -m benchmarks.compare_steps $(BASE)

# On a machine with a CUDA device: what must hold there, and what a step costs there.
test-gpu: $(VENV)/.ready
	$(BIN)/python -m tests.gpu

bench-gpu: $(VENV)/.ready
	$(BIN)/python -m benchmarks.steps --device cuda --capture --batch-size 128 --json bench-gpu.json --markdown bench-gpu.md
	$(BIN)/python -m benchmarks.steps --device cuda --capture --batch-size 128 --precision bfloat16

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site, in site/; a warning of mkdocs is an error.
docs: $(VENV)/.docs
	PYTHONPATH=. $(BIN)/mkdocs build --quiet

# The same on http://127.0.0.1:8000, made anew when a page is written.
docs-serve: $(VENV)/.docs
	PYTHONPATH=. $(BIN)/mkdocs serve

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

# The pictures of docs/mlflow.md, of the demo in the MLflow UI: needs chromium and chromium-driver.
screenshots: $(VENV)/.ready
	$(BIN)/dfcil-sweep launch sweeps/demo.yaml
	$(BIN)/python -m tests.support.screenshots runs

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	@$(if $(TORCH),$(BIN)/pip install --quiet torch torchvision --index-url $(INDEX)/$(TORCH) || { \
		echo 'TORCH=$(TORCH): no torch from $(INDEX)/$(TORCH). Is it reached from here? Has it that build?' \
		'Without TORCH= the usual one comes from PyPI.' >&2; exit 1; })
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist site *.egg-info
