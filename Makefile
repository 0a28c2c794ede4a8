# make demo            tune the demo project in an environment of its own
# make demo-vision     tune its U-Net
# make demo-language   tune its T5
# make test            run the tests in another
# make prove           compare hundreds of edits with plain runs, in half an hour
# make spark           compare pipelines of Spark, Ibis, Polars, Dask with plain runs (needs Java)
# make projects PROJECTS="PATH…"   tune checkouts of other people's projects, compare with plain runs
# make matrix          try older and newer releases of Kedro and Optuna
# make lint            check style, and types for the oldest Python
# make types           check types for each newer Python
# make docs            build the documentation into build/site
# make release-check   build wheel and sdist, install the wheel, run the quickstart with it
# make lint-workflows  check the workflows of .github/ against their schema
# make reference       write again what is made from the code: pages, figures, schemas
# make bench           compare the samplers on synthetic pipelines
# make compare         compare them on the three pipelines of the demo project, in hours
# make clean           remove the environments and what the tools left behind
#
# Both environments are built once and again only when what is to be installed changes.

PYTHON ?= python3
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check -c constraints.txt
# One more than there are cores: tests wait for processes and browsers.
TEST_PROCESSES = $(shell $(PYTHON) -c "import os; print(1 + (os.cpu_count() or 1))")
REQUIREMENTS = pyproject.toml constraints.txt demo_project/requirements.txt

export DO_NOT_TRACK = 1
export OMP_NUM_THREADS = 1

.DEFAULT_GOAL := demo
.PHONY: demo demo-vision demo-language test prove spark projects matrix lint types docs reference release-check \
        lint-workflows bench compare clean

demo: .venv/.installed
	cd demo_project && ../.venv/bin/kedro eeipu tune

demo-vision demo-language: demo-%: .venv/.installed
	cd demo_project && ../.venv/bin/kedro eeipu tune --pipeline $*

test: .venv-test/.installed
	.venv-test/bin/python -m pytest -n $(TEST_PROCESSES) --dist worksteal $(PYTEST_ARGS)

prove: .venv-test/.installed
	mkdir -p build
	.venv-test/bin/python tests/proof/run.py --edits -1 --behind -1 --out build/proof.jsonl

spark: .venv-spark/.installed
	mkdir -p build
	.venv-spark/bin/python -W ignore tests/proof/lazy.py --out build/lazy.jsonl
	.venv-spark/bin/python -W ignore tests/proof/lazy_killed.py
	.venv-spark/bin/python -W ignore tests/proof/lazy_costs.py

projects: .venv-test/.installed
	.venv-test/bin/python -W ignore tests/projects/run.py $(PROJECTS)

matrix: .venv-test/.installed
	.venv-test/bin/python tests/matrix/run.py

lint: .venv-test/.installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/mypy --explicit-package-bases tests/*/conftest.py tests/*/run.py

types: .venv-test/.installed
	for version in 3.11 3.12 3.13 3.14; do .venv-test/bin/mypy --python-version $$version || exit; done

docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet --config-file docs/mkdocs.yml

release-check: .venv-docs/.installed
	.venv-docs/bin/python tests/release/check.py

lint-workflows: .venv-docs/.installed
	.venv-docs/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

reference: .venv-test/.installed
	.venv-test/bin/python -W ignore docs/reference.py

bench: .venv-test/.installed
	.venv-test/bin/python tests/benchmarks/run.py

compare: .venv/.installed
	.venv/bin/python tests/benchmarks/promise.py --seeds 100-119
	.venv/bin/python tests/benchmarks/promise.py --table

clean:
	rm -rf .venv .venv-test .venv-spark .venv-docs .hypothesis .pytest_cache .mypy_cache .ruff_cache build dist
	rm -rf .eeipu demo_project/.eeipu
	git clean -fdXq demo_project/data
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed: $(REQUIREMENTS)
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) -e . -r demo_project/requirements.txt
	touch $@

.venv-spark/.installed: $(REQUIREMENTS)
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/python $(PIP_INSTALL) -e ".[dev]" -r demo_project/requirements.txt
	.venv-spark/bin/python $(PIP_INSTALL) pyspark deltalake "ibis-framework[duckdb]" triad hdfs
	touch $@

.venv-test/.installed: $(REQUIREMENTS)
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/python $(PIP_INSTALL) -e ".[dev]" -r demo_project/requirements.txt
	touch $@

.venv-docs/.installed: docs/requirements.txt constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP_INSTALL) -r docs/requirements.txt
	touch $@
