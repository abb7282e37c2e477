# The commands of this project. All that is needed first is Python 3.11 or newer.

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench

PYTHON := .venv/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check
# Each holds the time of the last complete installation, so that nothing is installed twice.
RUN_READY := .venv/.run-ready
DEV_READY := .venv/.dev-ready

# An environment whose Python is gone (updated, or the folder moved) is made again.
$(shell $(PYTHON) -c 'import pip' 2>/dev/null || rm -f $(RUN_READY) $(DEV_READY))

help:
	@echo "make run      start the system on http://localhost:8501"
	@echo "make test     run every test (ARGS=... goes to pytest)"
	@echo "make lint     check style, formatting and types"
	@echo "make format   put the code into the project's format"
	@echo "make bench    measure how long submitting a reading takes"

# The address and port stand in .streamlit/config.toml; STREAMLIT_SERVER_PORT=... wins over it.
run: $(RUN_READY)
	@exec .venv/bin/streamlit run streamlit_app.py

test: $(DEV_READY)
	@$(PYTHON) -m pytest $(ARGS)

lint: $(DEV_READY)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

format: $(DEV_READY)
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: $(DEV_READY)
	@$(PYTHON) -m bench $(ARGS)

$(RUN_READY): requirements.txt
	@sh scripts/make_environment.sh
	@echo "Installing what the system needs; the first time takes a minute or two."
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV_READY): requirements-dev.txt $(RUN_READY)
	@echo "Installing what the tests and checks need."
	@$(PIP) -r requirements-dev.txt
	@touch $@
