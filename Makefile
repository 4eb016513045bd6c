# Every task of the project. `make help` lists them; nothing needs to be installed first but Python >= 3.11, git and Terraform.

ENV ?= local
VENV := .venv
PYTHON := $(VENV)/bin/python
LEDGERLAKE := $(VENV)/bin/ledgerlake
READY := $(VENV)/.ready
# Functions run on this machine's processor locally and on arm64 elsewhere, as the modules do by default.
LAMBDA_ARCH ?= $(if $(filter-out local,$(ENV)),$(or $(TF_VAR_architecture),arm64),$(TF_VAR_architecture))

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
export ENV

# Terraform complains when this names a file that is not there.
ifeq ($(wildcard $(TF_CLI_CONFIG_FILE)),)
unexport TF_CLI_CONFIG_FILE
endif

##@ Start here

.PHONY: demo
demo: $(READY) ## Set everything up on this machine, send real events through it and print the ledger
	@scripts/demo

.PHONY: test
test: lint test-unit test-functional test-terraform ## Set up and pass every check; stops at the first tier that fails

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## "; printf "Usage: make <target> [ENV=local|dev|prod]\n" } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-zA-Z0-9_-]+:.*## / { printf "  %-26s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ An environment (ENV=local is the embedded AWS)

.PHONY: up
up: $(READY) ## Start the embedded AWS, build the packages, apply envs/local
	@$(PYTHON) -m ledgerlake.local up
	@$(MAKE) build
	@scripts/apply_local

.PHONY: down
down: ## Stop the embedded AWS and every process of it
	@if [[ -x $(PYTHON) ]]; then $(PYTHON) -m ledgerlake.local down; fi

.PHONY: env
env: $(READY) ## Print the exports for your own AWS tools: eval "$(make env)"
	@$(PYTHON) -m ledgerlake.local env

.PHONY: build
build: $(READY) ## Build the wheel, the Lambda packages and what Glue installs
	@$(PYTHON) scripts/build_packages.py $(if $(LAMBDA_ARCH),--arch $(LAMBDA_ARCH))

.PHONY: tf-init tf-plan tf-apply tf-destroy
tf-init: $(READY) ## terraform init in envs/$ENV
	@scripts/terraform init $(ENV)
tf-plan: build ## Show what an apply would change in envs/$ENV
	@scripts/in_env scripts/terraform plan $(ENV)
tf-apply: build ## Apply envs/$ENV
	@scripts/in_env scripts/terraform apply $(ENV)
tf-destroy: $(READY) ## Destroy envs/$ENV
	@scripts/in_env scripts/terraform destroy $(ENV)

##@ Operations (ENV=local|dev|prod)

.PHONY: publish seed ops-start ops-status ops-history redrive replay
publish: $(READY) ## Publish the contracts under schemas/, or say what is wrong with them
	@scripts/in_env $(LEDGERLAKE) schema publish schemas/*/schema.json
seed: publish ## Publish the contracts and send a day of sample events (DAY=1|2)
	@scripts/in_env $(LEDGERLAKE) seed $(if $(DAY),--day $(DAY))
ops-start: $(READY) ## Start a cycle and follow it to its end
	@scripts/in_env $(LEDGERLAKE) cycle start --wait
ops-status: $(READY) ## Each topic's ledger, and how the latest cycle stands
	@scripts/in_env $(LEDGERLAKE) cycle status
	@scripts/in_env $(LEDGERLAKE) status
ops-history: $(READY) ## The latest cycles
	@scripts/in_env $(LEDGERLAKE) cycle history
redrive: $(READY) ## Show which dead letters could go to their queues again; ARGS="--topic events --apply" sends them
	@scripts/in_env $(LEDGERLAKE) redrive $(ARGS)
replay: $(READY) ## Take failed records in: ARGS="errors --topic events [--apply]", or export, import, landing, raw
	@scripts/in_env $(LEDGERLAKE) replay $(or $(ARGS),--help)

##@ Proof

.PHONY: verify-e2e
verify-e2e: $(READY) $(if $(filter local,$(ENV)),test-faults) ## Kill jobs at every point; then check the deployed pipeline by known records' identities
	@scripts/verify

.PHONY: chaos
chaos: $(READY) ## Send messages while functions and jobs fail, recover, and print the ledger by identity: MESSAGES=10000 SEED=7
	@scripts/in_env $(LEDGERLAKE) chaos $(if $(MESSAGES),--messages $(MESSAGES)) $(if $(SEED),--seed $(SEED))

VERIFY_STEPS := whoami tf-outputs lambdas sqs ddb s3-notifications idempotency glue ledger
.PHONY: $(VERIFY_STEPS:%=verify-%)
verify-whoami: ## One step alone: the account and region it would work in
verify-tf-outputs: ## … every output of the environment is there
verify-lambdas: ## … every function can be invoked
verify-sqs: ## … every queue and its dead-letter queue
verify-ddb: ## … the state tables
verify-s3-notifications: ## … a dropped file starts the ingest
verify-idempotency: ## … sent twice, kept once
verify-glue: ## … the jobs and the tables
verify-ledger: ## … what Firehose gives up is kept, what was accepted stands somewhere
$(VERIFY_STEPS:%=verify-%): verify-%: $(READY)
	@scripts/in_env $(LEDGERLAKE) verify --step $*

.PHONY: bench
bench: $(READY) ## Measure the jobs beside a naive one: ROWS=300000 ROUNDS=3, or TOPICS=200
	@$(PYTHON) -m bench $(if $(ROWS),--rows $(ROWS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(TOPICS),--topics $(TOPICS)) \
	  $(if $(UPDATE),--update $(UPDATE))

##@ Development

.PHONY: venv
venv: $(READY) ## Make the virtual environment from the hash-pinned lock

# A venv that lost an interrupted race with Ctrl-C has no pip and is made anew; the stamp is written last. The lock has
# all there is to resolve, and every core compiles (some packages ship files for other Pythons, which do not): a minute less.
$(READY): requirements/dev.txt pyproject.toml
	@{ if ! $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	    for python in python3.11 python3.12 python3.13 python3; do \
	      if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
	    done; \
	    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ledgerlake needs Python 3.11 or newer"; exit 1; }; \
	    echo "making $(VENV) with $$python"; \
	    $$python -m venv --clear $(VENV); \
	  fi; \
	  echo "installing the locked dependencies"; \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements/dev.txt; \
	  $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	  $(PYTHON) -m compileall -q -j 0 $(VENV)/lib || true; \
	  touch $@; } >&2

.PHONY: lint
lint: $(READY) ## ruff, ruff format and mypy --strict
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

.PHONY: format
format: $(READY) ## Format Python and Terraform in place
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .
	@terraform fmt -recursive

.PHONY: scaffold
scaffold: $(READY) ## Add a dataset under schemas/: DATASET=orders, and SAMPLE=orders.jsonl|.json|.csv to propose its contract
	@$(LEDGERLAKE) scaffold "$(DATASET)" $(if $(SAMPLE),--sample "$(SAMPLE)")

.PHONY: docs
docs: $(READY) ## Write what is generated: the contract's JSON Schema and reference page, the modules' tables
	@$(PYTHON) scripts/contract_docs.py
	@$(PYTHON) scripts/module_readme.py

.PHONY: test-unit
test-unit: $(READY) ## Tests without Spark and AWS
	@$(PYTHON) -m pytest -q -n 2 tests/unit

# What breaks on purpose, what puts it right again, and payloads and contracts that change: slow enough for a tier of its own.
FAULTS := $(addprefix tests/functional/,test_conservation.py crash concurrency local/test_cycle_faults.py local/test_sabotage.py \
  local/test_glue_jobs.py test_run.py test_cycle_of_jobs.py test_replay.py test_edited_records.py test_reprocess.py test_audit.py \
  test_full_reconciliation.py test_trace.py test_drift.py test_contract_options.py test_rehearse.py test_rebuild_for_contract.py \
  test_contract_changes.py test_earthquake_versions.py)
# The files with the longest tests are begun first, so that no worker is left with one at the end.
FUNCTIONAL := $(filter-out $(FAULTS),$(wildcard tests/functional/test_*.py)) tests/functional/handlers tests/functional/local
ON_BOTH_CORES := -q -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-functional
test-functional: $(READY) ## Tests with Spark on a local catalogue, and moto
	@$(PYTHON) -m pytest $(ON_BOTH_CORES) $(FUNCTIONAL) $(FAULTS:%=--ignore=%)

.PHONY: test-faults
test-faults: $(READY) ## Crash points, concurrency, random histories, repairs, changing payloads: nothing lost, nothing twice (part of verify-e2e)
	@$(PYTHON) -m pytest $(ON_BOTH_CORES) $(FAULTS)

.PHONY: test-terraform
test-terraform: ## terraform fmt, validate and test; no account, no emulator
	@terraform fmt -check -recursive
	@scripts/terraform validate
	@scripts/terraform test

.PHONY: checkov
checkov: $(READY) ## Check modules/ and envs/ against security policies
	@scripts/checkov

.PHONY: test-wheel
test-wheel: $(READY) ## Build the wheel and run the unit tests against it instead of src/
	@rm -rf dist build/wheel
	@$(PYTHON) -m build --wheel --no-isolation --outdir dist
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --target build/wheel dist/*.whl
	@PYTHONPATH=build/wheel $(PYTHON) -c 'import ledgerlake; assert "build/wheel" in ledgerlake.__file__, ledgerlake.__file__'
	@PYTHONPATH=build/wheel $(PYTHON) -m pytest -q tests/unit

.PHONY: lock
lock: $(READY) ## Resolve requirements/dev.txt anew (needs uv)
	@uv pip compile --quiet pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links -o requirements/dev.txt

.PHONY: clean
clean: ## Remove what builds and tests leave; the virtual environment and a running local AWS stay
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis spark-warehouse metastore_db derby.log
