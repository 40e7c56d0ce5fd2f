# make report: set up, run the main job. make test: set up, pass the tests.
# make lowest: the tests with the lowest versions of all packages (TESTS="tests/io tests/core" for some).
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin

.PHONY: setup report test check lowest

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

# the suite with the lowest versions that pyproject.toml allows, but for torch; warnings of old
# packages about each other are no failures
LOWEST := .venv-lowest
lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	echo torch > $(LOWEST)/except.txt
	$(LOWEST)/bin/uv pip compile --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --extra dev \
	  --excludes $(LOWEST)/except.txt --output-file $(LOWEST)/lowest.txt pyproject.toml
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --requirement $(LOWEST)/lowest.txt
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --no-deps --editable .
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -W default --disable-warnings $(TESTS)
