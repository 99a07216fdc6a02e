# Everything is set up by the first target that needs it, in .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint clean

demo: $(VENV)/.ready
	$(BIN)/dfcil-sweep launch sweeps/demo.yaml
	$(BIN)/dfcil-sweep report demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest -m 'not server'

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info
