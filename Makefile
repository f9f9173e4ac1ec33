# `make demo` and `make test` work in a fresh clone: scripts/setup.sh installs what they need.

PYTEST_ARGS ?= -n 2 --dist loadfile
FUZZ_N ?= 3500
DEMO := build/demo

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz check bench docs wheel clean

help:    ## show this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1	/p; s/^\([a-z]*\):  *## /  make \1	/p' $(MAKEFILE_LIST)

demo:    ## compile the digits network for boards of every target, verify, measure
	@scripts/setup.sh demo
	@rm -rf $(DEMO)
	@.venv/bin/snnstack demo --output $(DEMO)

test:    ## run all tests; PYTEST_ARGS="-k name" for some
	@scripts/setup.sh test
	@.venv/bin/python -m pytest $(PYTEST_ARGS)

fuzz:    ## damaged inputs of every kind; FUZZ_N=3500 for more or fewer of each
	@scripts/setup.sh test
	@.venv/bin/python -m tests.fuzz -n $(FUZZ_N)

check:   ## format, lint, types, import order
	@scripts/setup.sh check
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench:   ## all benchmarks beside their peers, and what changed; BENCH_ARGS="--only NAME" for some
	@scripts/setup.sh test
	@scripts/setup.sh bench
	@.venv/bin/python benchmarks/run.py $(BENCH_ARGS)

docs:    ## build the documentation site into build/site; warnings are errors
	@scripts/setup.sh docs
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
	@echo "build/site/index.html"

wheel:   ## build the wheel and try it in a clean environment
	@scripts/setup.sh check
	@scripts/smoke_wheel.sh

clean:   ## remove what was built; .venv stays
	rm -rf build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find snnstack backends compilers emulators boards tests examples benchmarks \
		-name __pycache__ -type d -prune -exec rm -rf {} +
