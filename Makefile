# Broadsheet: the only way anything is run, by people and by CI.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := .uv/bin/uv
MEMBERS := shared deploy services/scheduler services/generator services/distributor services/notifier services/config-api
export PATH := $(CURDIR)/$(BIN):$(PATH)
export UV_PYTHON_DOWNLOADS := never

.PHONY: help
help: ## show this list
	@grep -hE '^[a-zA-Z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sort | awk 'BEGIN{FS=":.*## "}{printf "  %-14s %s\n",$$1,$$2}'

.PHONY: setup
setup: $(VENV)/.ready ## install everything the demo and the tests need

$(UV):
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip -q install 'uv==$(UV_VERSION)'

$(VENV)/.ready: $(UV) requirements.lock pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS))
	$(UV) venv -q --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync -q --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install -q --python $(BIN)/python --no-deps $(addprefix -e ./,$(MEMBERS))
	@touch $@

.PHONY: lock
lock: $(UV) ## refresh requirements.lock from the pyproject files
	$(UV) lock -q
	$(UV) export -q --all-packages --all-groups --no-emit-workspace --no-emit-local --no-header --no-annotate > requirements.lock

.PHONY: lint
lint: setup ## format check, ruff, mypy, import rules, dependency rules
	ruff format --check .
	ruff check .
	mypy
	lint-imports

.PHONY: format
format: setup ## format the code and mend what can be mended
	ruff format .
	ruff check --fix .

.PHONY: contracts
contracts: setup ## write schemas and AsyncAPI from the models; refuses a breaking change
	python -m contracts.schemas write
