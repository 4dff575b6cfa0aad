# The two commands of the README do all the set-up themselves, in .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test laws check format oracles gallery bench clean

demo: .venv/.kernels  ## the main job on the table shipped with the package
	$(BIN)/densiflow demo --out demo

test: check .venv/.kernels  ## lint, format, types, then every test
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

laws: .venv/.dev .venv/.kernels  ## the whole matrix of laws, of which `make test` tries a part
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/test_laws.py tests/test_planted_faults.py --matrix full

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

oracles:  ## run other libraries for the golden values of the tests, each in an environment of its own
	$(PYTHON) tests/oracles/make.py

gallery: .venv/.kernels  ## every figure of docs/gallery, drawn anew by its script
	@for script in docs/gallery/*.py; do echo "$$script"; $(BIN)/python "$$script" || exit 1; done

bench: .venv/.kernels  ## every measurement of benchmarks, written to benchmarks/results; about two hours
	$(BIN)/python benchmarks/flows.py --kind affine conditional spline --case small power miniboone bsds300 mnist --record
	$(BIN)/python benchmarks/flows.py --kind coupling --record couplings
	@for name in compiling scoring commands ensembles curves estimators tables; do echo "$$name"; $(BIN)/python benchmarks/$$name.py --record || exit 1; done

clean:
	rm -rf .venv .cache demo

.venv/.runtime: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "densiflow needs Python 3.11 to 3.13; name one with PYTHON=python3.12")'
	$(PYTHON) -m venv --clear .venv
	$(PIP) pip hatchling editables
	$(PIP) --no-build-isolation --editable .
	touch $@

# kernels of older sources would be left unused
.venv/.kernels: .venv/.runtime $(wildcard src/densiflow/native/*.cc src/densiflow/native/*.h src/densiflow/native/build.py)
	$(BIN)/python -m densiflow.native
	touch $@

.venv/.dev: .venv/.runtime
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@
