# make demo   builds .venv, installs the core and curates the bundled sample
# make test   installs what the tests need and checks everything: format, lint, types, floors, tests

VENV    ?= .venv
WORKERS ?= 2
BIN     := $(VENV)/bin
PIP      = $(BIN)/python -m pip --disable-pip-version-check install --quiet -c requirements.lock

# The first of these that Onggi runs on; another by `make PYTHON=/path/to/python3.12 demo`.
SUITS   := import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])
PYTHON  ?= $(firstword $(shell for python in python3 python3.12 python3.11; do \
             $$python -c '$(SUITS)' 2>/dev/null && echo $$python; done) python3)

.PHONY: help demo test test-slow judge readers trainers docs lock
.DELETE_ON_ERROR:

help:
	@echo 'make demo       build $(VENV), install the core, curate the bundled sample and write its report'
	@echo 'make test       format, lint, types, floors and the fast tests (WORKERS=$(WORKERS) processes)'
	@echo 'make test-slow  the tests that take minutes'
	@echo 'make judge      build .venv-judge: vLLM for CPUs with a small real model, for the slow tests (2.5 GB)'
	@echo 'make readers    build .venv-readers: Megatron, MosaicML, datatrove, OLMo-core for the slow tests (1.5 GB)'
	@echo 'make trainers   build .venv-trainers: TRL, for the slow tests (1.5 GB)'
	@echo 'make docs       write docs/reference anew from the schemas'
	@echo 'make lock       resolve the newest versions that fit pyproject.toml into requirements.lock'

demo: $(VENV)/core.stamp
	$(BIN)/onggi demo

test: $(VENV)/test.stamp
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-slow: $(VENV)/test.stamp
	$(BIN)/python -m pytest -m slow

judge: .venv-judge/judge.stamp

readers: .venv-readers/readers.stamp

trainers: .venv-trainers/trainers.stamp

docs: $(VENV)/core.stamp
	$(BIN)/python -m manifests.reference
	$(BIN)/python docs/generate.py

lock:
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check install --quiet --upgrade --upgrade-strategy eager \
	  -e '.[test]'
	{ echo '# What `make` and CI install: the newest versions that fit pyproject.toml. Written by `make lock`.'; \
	  .venv-lock/bin/python -m pip list --format=freeze --exclude-editable --exclude pip | sed 's/+cpu$$//'; \
	} > requirements.lock
	rm -rf .venv-lock

$(BIN)/python:
	@$(PYTHON) -c '$(SUITS)' 2>/dev/null || { \
	  echo "Onggi runs on Python 3.11 and 3.12; '$(PYTHON)' is $$($(PYTHON) -V 2>/dev/null || echo neither)." >&2; \
	  echo "Name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "No virtual environment could be made (Debian: apt-get install python3-venv)." >&2; exit 1; }

# The stamps are newer than what they were installed from, so a second `make` goes straight to work.
$(VENV)/core.stamp: pyproject.toml requirements.lock | $(BIN)/python
	@echo 'Installing the core into $(VENV): a minute or two, once.'
	$(PIP) -e .
	@touch $@

# torch's build for CPUs is found where pip is told to look (PIP_FIND_LINKS), or in PyTorch's index for them:
# make test PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
$(VENV)/test.stamp: pyproject.toml requirements.lock | $(BIN)/python
	@echo 'Installing the core, torch and the tools of the tests into $(VENV): a few minutes, once.'
	$(PIP) -e '.[test]'
	@touch $(VENV)/core.stamp $@

# torch's build for CPUs is found where pip is told to look (PIP_FIND_LINKS), or in PyTorch's index for them:
# make judge PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
.venv-judge/judge.stamp: benchmarks/requirements-judge.txt benchmarks/judge_server.py
	$(PYTHON) -m venv --clear .venv-judge
	.venv-judge/bin/python -m pip --disable-pip-version-check install --quiet --no-deps -r $<
	.venv-judge/bin/python benchmarks/judge_server.py --unpack-only
	@touch $@

# torch's build for CPUs, as above.
.venv-readers/readers.stamp: benchmarks/requirements-readers.txt
	$(PYTHON) -m venv --clear .venv-readers
	.venv-readers/bin/python -m pip --disable-pip-version-check install --quiet --no-deps -r $<
	@touch $@

# torch's build for CPUs, as above.
.venv-trainers/trainers.stamp: benchmarks/requirements-trainers.txt
	$(PYTHON) -m venv --clear .venv-trainers
	.venv-trainers/bin/python -m pip --disable-pip-version-check install --quiet --no-deps -r $<
	@touch $@
