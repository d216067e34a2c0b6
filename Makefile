# Broadsheet: the only way anything is run, by people and by CI.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
# processes that share the tests, each with servers of its own; they wait as much as they compute
TEST_WORKERS ?= 3
BIN := $(VENV)/bin
UV := .uv/bin/uv
MEMBERS := shared deploy services/scheduler services/generator services/distributor services/notifier services/config-api
# what stands in the lock is preferred to what is newer
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--all-extras --group pyproject.toml:dev $(addsuffix /pyproject.toml,$(MEMBERS)) -o requirements.lock \
	$(foreach member,$(MEMBERS),--no-emit-package broadsheet-$(notdir $(member)))
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
lock: $(UV) ## bring requirements.lock up to the pyproject files; versions that still fit stay as they are
	$(COMPILE)

.PHONY: upgrade
upgrade: $(UV) ## the same, and let every version move to the newest that fits
	$(COMPILE) --upgrade

.PHONY: lint
lint: setup ## format check, ruff, mypy, import rules, dependency rules
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	@for member in $(MEMBERS); do (cd $$member && deptry src) || exit 1; done

.PHONY: format
format: setup ## format the code and mend what can be mended
	ruff format .
	ruff check --fix .

.PHONY: contracts
contracts: setup ## write schemas and AsyncAPI from the models; refuses a breaking change
	python -m contracts.schemas write

.PHONY: system
system: setup ## install the few system libraries that wheels need, where they are missing
	@python -m standalone.system

.PHONY: demo
demo: setup system ## run the main job on embedded servers; ONCE=1 ends by itself, BROKER=apache-kafka takes Kafka
	python -m standalone demo $(if $(ONCE),--once) $(if $(BROKER),--broker $(BROKER)) $(if $(VERBOSE),--verbose) $(DEMO_ARGS)

.PHONY: browser
browser: setup ## install, besides, a Chromium for the tests of the console
	@python -m standalone.system browser

.PHONY: office
office: setup ## install, besides, LibreOffice for Office reports as PDF and their tests
	@python -m standalone.system office

.PHONY: test
test: setup ## run every test that fits into a coffee break, on real servers
	@python -m standalone.system browser office tests
	pytest -q -n $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder -m 'not slow and not chaos' $(TEST_ARGS)
	@# on its own: beside the other suites' servers two cores are too few for it to say anything about time
	$(MAKE) --no-print-directory chaos

.PHONY: fresh
fresh: ## run both commands in a Debian 12 that has Python and make, nothing else (needs root and mmdebstrap)
	@bash deploy/fresh.sh $(FRESH_ROOT)

.PHONY: unit
unit: setup system ## run the tests that need no server
	pytest -q tests/unit tests/wiring $(TEST_ARGS)

.PHONY: chaos
chaos: setup system ## kill and restart everything in turn, and check what holds
	pytest -q -m chaos tests/chaos

.PHONY: slow
slow: setup browser office ## run what takes too long for make test: the same claims on more cases
	pytest -q -n $(TEST_WORKERS) --dist loadgroup --no-loadscope-reorder -m slow $(TEST_ARGS)

.PHONY: bench
bench: setup office ## measure; prints ratios of one run
	PYTHONPATH=tests python -m bench.rendering
	PYTHONPATH=tests python -m bench.qlik_cube $(CUBE_ARGS)
	PYTHONPATH=tests python -m bench.notice $(NOTICE_ARGS)
	PYTHONPATH=tests python -m bench.pipeline $(BENCH_ARGS)

.PHONY: reference
reference: setup ## write the reference of settings, topics and REST from the code
	python -m standalone.reference write
