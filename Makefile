# The commands of this project. All that is needed first is Python 3.11 or newer.

.DEFAULT_GOAL := help
.PHONY: help install run test check lint style types format schemas catalogues lock sbom bench

PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
# Files of tests run side by side (tests/conftest.py); ARGS="-n 0" runs them one after another.
SIDE_BY_SIDE := -n auto --no-loadscope-reorder
# The fast tier: all that needs no server, the stories of a bill and of a payment, each page once.
FAST := tests/unit tests/integration/test_story.py tests/integration/payments/test_payments.py \
    tests/integration/at_stripe/test_story.py tests/ui/test_each_page.py
# Each holds the time of the last complete installation, so that nothing is installed twice.
RUN_READY := .venv/.run-ready
DEV_READY := .venv/.dev-ready
BENCH_READY := .venv/.bench-ready

# An environment whose Python is gone (updated, or the folder moved) is made again.
$(shell $(PYTHON) -c 'import pip' 2>/dev/null || rm -f $(RUN_READY) $(DEV_READY) $(BENCH_READY))

help:
	@echo "make run      start the system on http://localhost:8501"
	@echo "make install  install what the system needs, and start nothing"
	@echo "make test     run every test (ARGS=... goes to pytest)"
	@echo "make check    check style and types, run the fast tests: what to do before each commit"
	@echo "make lint     check style, formatting and types"
	@echo "make format   put the code into the project's format"
	@echo "make schemas  write supabase/schemas/ again, after a new migration"
	@echo "make catalogues  bring the translations up to date with the texts of the source"
	@echo "make lock     lock all dependencies again, after a change of requirements*.txt"
	@echo "              (ARGS=--upgrade takes the newest of what they need)"
	@echo "make sbom     list every dependency and its licence again, in docs/"
	@echo "make bench    measure how fast bills are priced, and how long submitting a reading takes"

# For a server, where a service starts the system: docs/deploy.md.
install: $(RUN_READY)

# The address and port stand in .streamlit/config.toml; STREAMLIT_SERVER_PORT=... wins over it.
run: $(RUN_READY)
	@exec $(PYTHON) -m services start

test: $(DEV_READY)
	@$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(ARGS)

check: lint
	@$(PYTHON) -m pytest $(SIDE_BY_SIDE) $(FAST) $(ARGS)

lint: style types

style: $(DEV_READY)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports --no-cache

types: $(DEV_READY)
	@.venv/bin/mypy

format: $(DEV_READY)
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

schemas: $(DEV_READY)
	@$(PYTHON) scripts/write_schemas.py

catalogues: $(DEV_READY)
	@$(PYTHON) scripts/write_catalogues.py

lock: $(DEV_READY)
	@sh scripts/lock_dependencies.sh $(ARGS)
	@$(MAKE) --no-print-directory sbom

sbom: $(DEV_READY)
	@$(PYTHON) scripts/write_sbom.py

bench: $(BENCH_READY)
	@$(PYTHON) -m bench $(ARGS)

# Each lock holds what the one before lacks, so nothing is left to be worked out here. pip refuses
# a file whose hash is another.
$(RUN_READY): requirements.lock
	@sh scripts/make_environment.sh
	@echo "Installing what the system needs; the first time takes a minute or two."
	@# Linux before glibc 2.34 has no package of the embedded graph, and pip has no word for that.
	@$(PIP) -r requirements.lock || { echo "Trying without the embedded graph."; \
	    awk '/^[^ ]/ { left_out = /^arcadedb-embedded/ } !left_out' requirements.lock | $(PIP) -r /dev/stdin; }
	@touch $@

$(DEV_READY): requirements-dev.lock $(RUN_READY)
	@echo "Installing what the tests and checks need."
	@# Compiled as it is imported, which is little of it.
	@$(PIP) --no-compile -r requirements-dev.lock
	@touch $@

$(BENCH_READY): requirements-bench.lock $(DEV_READY)
	@echo "Installing what the measurements need."
	@$(PIP) -r requirements-bench.lock
	@# Load profiles that the rules for readings are measured on; the programs in them are not installed.
	@$(PYTHON) -m pip download -q --disable-pip-version-check --no-deps -d .tools/profiles simbench==1.6.3 opendsm==1.2.7
	@touch $@
