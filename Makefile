# make report: set up, run the main job. make test: set up, pass the tests.
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin

.PHONY: setup report test check

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# the recordings beside this checkout, unless another folder is named
ifneq ($(wildcard ../shared/data/mante2013),)
report: export NWBCOMPARE_DATA ?= $(abspath ../shared/data)
endif
report: setup
	$(RUN)/nwbcompare report --out report --overwrite

# one thread a process: processes that each use all cores keep each other from work
test: setup
	OMP_NUM_THREADS=1 $(RUN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: setup
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports
