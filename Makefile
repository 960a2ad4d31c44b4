PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: setup demo test check clean

setup: $(READY)

# Done anew only when what is to be installed has changed.
$(READY): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: setup
	$(VENV)/bin/python tools/demo.py

test: setup check
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info
