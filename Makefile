PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PYTEST := $(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check site clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install into .venv, with the versions of constraints.txt

# Done anew only when what is to be installed has changed.
$(READY): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

demo: setup  ## predict on film frames, train on the built-in scenes, evaluate on unseen ones
	$(VENV)/bin/python tools/demo.py

test: setup check  ## check, then run the tests
	$(PYTEST) -m "not exhaustive"

test-all: setup check  ## check, then run all tests, the exhaustive ones as well
	$(PYTEST)

check: setup site  ## check style, and that the documentation builds
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

site: setup  ## build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

clean:  ## remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info
