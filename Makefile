# Everything a developer does here, one target each. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Make .venv with pinned, hashed packages
	@hack/setup

.PHONY: lint
lint: setup ## ruff and mypy --strict
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.PHONY: format
format: setup ## Let ruff format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: test
test: test-unit test-integration ## All tests that need no cluster

.PHONY: test-unit
test-unit: setup ## Pure functions, and the protocol on fakeredis
	.venv/bin/pytest tests/unit

.PHONY: test-integration
test-integration: setup ## Against a real Valkey that the tests start
	.venv/bin/pytest tests/integration

.PHONY: test-e2e
test-e2e: cluster-install ## The scenes on a real cluster (brings it up when there is none)
	.venv/bin/pytest tests/e2e --with-e2e

.PHONY: demo
demo: cluster-install ## A real cluster, Ferryman on it, and a tour in two minutes; leaves it running
	@hack/demo

.PHONY: tools
tools: ## helm and kubeconform, for the chart's tests and the cluster
	@hack/cluster/build --tools

.PHONY: images
images: ## Build all images (docker when it answers, buildah otherwise)
	@hack/images/build

.PHONY: cluster-up
cluster-up: ## A real Kubernetes: kind where Docker is, a one-node cluster of our own otherwise
	@hack/cluster/choose --up

.PHONY: cluster-install
cluster-install: setup cluster-up ## Build and load the images, install the chart into ferryman-system
	@hack/cluster/install

.PHONY: cluster-down
cluster-down: ## Remove the cluster and all it left
	@hack/cluster/down

.PHONY: kind-up
kind-up: ## A kind cluster (needs Docker and kind)
	@hack/cluster/kind-up

.PHONY: dashboards
dashboards: setup ## Generate the chart's Grafana dashboards from code
	PYTHONPATH=dashboards/src $(PY) -m ferryman_dashboards

.PHONY: requirements
requirements: setup ## Pin and hash the dependencies again after changing a pyproject.toml
	@hack/requirements

.PHONY: chaos
chaos: setup ## Kill workers, schedulers and Redis on purpose, and prove that nothing was lost
	.venv/bin/ferryman crash-test --tasks 20000 --kills 30 --seed 1
	.venv/bin/ferryman crash-test --tasks 5000 --kills 10 --seed 2 --aof-restart always

.PHONY: bench
bench: setup ## Throughput of one worker process on no-op tasks
	$(PY) benchmarks/noop_throughput.py
