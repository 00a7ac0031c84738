# `make rehearse` and `make test` need Python >= 3.11 with venv, pip and make; nothing else. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help rehearse test slow exhaustive e2e lint format types contracts check coverage controlplane bench wheel image manifests lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

rehearse: $(VENV)/.run ## play an incident, from the cut to the post-mortem, in the built-in cluster
	@$(BIN)/irkit rehearse

test: $(VENV)/.dev ## the tests that take seconds; those of a real cluster run where `make controlplane` was
	$(PYTEST) -m "not slow" $(ARGS)

coverage: $(VENV)/.dev ## the same tests, with what they leave untouched (half as fast)
	$(PYTEST) -m "not slow" --cov --cov-report=term $(ARGS)

slow: $(VENV)/.dev ## the tests that take longer
	$(PYTEST) -m "slow and not exhaustive" $(ARGS)

exhaustive: $(VENV)/.dev ## the crash tests at every single request and signal (half an hour)
	$(PYTEST) -m exhaustive $(ARGS)

e2e: $(VENV)/.dev ## only the tests on a real control plane and a real node
	$(PYTEST) -m "(controlplane or node) and not exhaustive" $(ARGS)

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(VENV)/.dev ## ruff: rewrite
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

contracts: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports

check: lint types contracts test ## all but what is slow

controlplane: ## build Kubernetes and two controllers for the tests, once (needs Go; 12 minutes)
	$(PYTHON) tests/controlplane/cluster.py build

bench: $(VENV)/.dev ## speed, memory and requests, each beside kubectl's (needs `make controlplane`)
	$(BIN)/python -m bench $(ARGS)

wheel: $(VENV)/.run ## dist/*.whl
	$(BIN)/python -m hatchling build -t wheel

image: $(VENV)/.run ## dist/irkit-*.oci.tar, the container image, and its SBOM (Linux on amd64)
	$(BIN)/python deploy/image/build.py dist

manifests: $(VENV)/.dev ## deploy/manifests from the chart, and the chart's rights from the playbooks (needs `make controlplane`, or HELM)
	$(BIN)/python deploy/generate.py

lock: EXPORT := --frozen --quiet --no-header --no-annotate --no-emit-project
lock: ## choose versions anew: uv.lock and both requirements files (needs uv)
	uv lock --upgrade
	uv export $(EXPORT) --no-default-groups --group build -o requirements.txt
	uv export $(EXPORT) --group build --group dev -o requirements-dev.txt

clean: ## remove what make made here
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "irkit needs Python 3.11 or later, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

# Installed as hash-pinned; done again only when the pins change.
$(VENV)/.run: requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing irkit into $(VENV), once"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q irkit
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	@echo "installing irkit and its test tools into $(VENV), once"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q irkit
	@touch $@ $(VENV)/.run
