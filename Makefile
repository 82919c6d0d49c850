# Everything a developer does here, one target each. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
# Tests at a time. The integration tests mostly wait (for servers, clocks, processes that start); the unit tests compute.
JOBS ?= 4
UNIT_JOBS ?= 2
SCENES ?= 2

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
test: test-unit test-integration test-examples test-mutation ## All tests that need no cluster

.PHONY: test-unit
test-unit: setup ## Pure functions, and the protocol on fakeredis
	.venv/bin/pytest tests/unit -n $(UNIT_JOBS)

.PHONY: test-integration
test-integration: setup ## Against a real Valkey that the tests start
	.venv/bin/pytest tests/integration -m "not alone" -n $(JOBS) --dist loadgroup
	.venv/bin/pytest tests/integration -m alone

.PHONY: test-examples
test-examples: setup ## The sample project as its team would test it, and every snippet of the guides
	.venv/bin/pytest tests/examples

.PHONY: test-browser
test-browser: setup ## Press the control panel's buttons in a real browser (needs Chromium)
	.venv/bin/pytest tests/browser

.PHONY: test-mutation
test-mutation: setup ## Break each contract on purpose, in a copy: a test must notice
	.venv/bin/pytest tests/mutation

.PHONY: test-control-plane
test-control-plane: setup ## The operator on a real API server without nodes: two operators, rights, ownership, restarts
	@hack/cluster/build --control-plane
	.venv/bin/pytest tests/control_plane

.PHONY: test-e2e
test-e2e: cluster-install ## The scenes on a real cluster (brings it up when there is none)
	.venv/bin/pytest tests/e2e --with-e2e -m "not long and not alone" -n $(SCENES) --dist loadgroup
	.venv/bin/pytest tests/e2e --with-e2e -m "not long and alone"

.PHONY: demo
demo: cluster-install ## A real cluster, Ferryman on it, and a tour in two minutes; leaves it running
	@hack/demo

.PHONY: tools
tools: ## helm, kubeconform, prometheus and promtool, for the tests of chart, dashboards and alerts and for the cluster
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

.PHONY: dashboard-previews
PROMETHEUS ?= http://localhost:9090
dashboard-previews: setup ## Draw every panel from a Prometheus into docs/dashboards/*.png (PROMETHEUS=URL FROM=now-1h QUEUE=name)
	PYTHONPATH=dashboards/src $(PY) -m ferryman_dashboards preview --prometheus $(PROMETHEUS) $(if $(FROM),--from $(FROM)) \
	  $(if $(TO),--to $(TO)) $(if $(NAMESPACE),--namespace $(NAMESPACE)) $(if $(QUEUE),--queue $(QUEUE))

.PHONY: docs
docs: setup ## Generate docs/metrics.md (every metric) and the tables of docs/operator.md (every field)
	PYTHONPATH=dashboards/src $(PY) -m ferryman_metrics
	PYTHONPATH=dashboards/src $(PY) -m ferryman_reference

.PHONY: contracts
contracts: setup ## Generate docs/contracts.md: each contract, how it is broken on purpose, and which tests notice
	PYTHONPATH=tests/mutation $(PY) -m ferryman_mutation > docs/contracts.md

.PHONY: requirements
requirements: setup ## Pin and hash the dependencies again after changing a pyproject.toml
	@hack/requirements

.PHONY: chaos
chaos: setup ## Kill everything on purpose, again and again, and prove that nothing was lost (half an hour)
	.venv/bin/ferryman crash-test --tasks 100000 --kills 100 --seed 1
	.venv/bin/ferryman crash-test --tasks 30000 --kills 64 --seed 2 --aof-restart always
	.venv/bin/ferryman crash-test --tasks 30000 --kills 64 --seed 3 --aof-restart everysec
	.venv/bin/ferryman crash-test --tasks 30000 --kills 64 --seed 4 --failover
	.venv/bin/ferryman crash-test --tasks 4000 --kills 64 --seed 5 --task-ms 2000
	FERRYMAN_FREEZE=60 .venv/bin/pytest tests/integration/test_protocol_hardships.py -k froze
	FERRYMAN_MODEL_EXAMPLES=3000 .venv/bin/pytest tests/integration/model

# What is killed beside Redis in the short battery: few kinds, so that Redis has several turns.
BESIDE_REDIS := --kinds sigkill,scheduler,api,link-lost-reply,link-half-open,link-producer

.PHONY: chaos-short chaos-short-kinds chaos-short-restart chaos-short-failover
chaos-short: setup ## The same in under three minutes, three runs at a time: every local kind, and Redis killed both ways
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target chaos-short-kinds chaos-short-restart chaos-short-failover

chaos-short-kinds:
	.venv/bin/ferryman crash-test --tasks 5000 --kills 30 --seed 1

chaos-short-restart:
	.venv/bin/ferryman crash-test --tasks 2000 --kills 14 --seed 2 --aof-restart always $(BESIDE_REDIS)

chaos-short-failover:
	.venv/bin/ferryman crash-test --tasks 2000 --kills 14 --seed 3 --failover $(BESIDE_REDIS)

.PHONY: chaos-kubernetes
chaos-kubernetes: cluster-install ## The same on a real cluster for 10 minutes: pods, containers, operator, scheduler, Redis
	PATH=$(CURDIR)/.cluster/bin:$$PATH KUBECONFIG=$(CURDIR)/.cluster/kubeconfig \
	  .venv/bin/ferryman crash-test --kubernetes --for 10m --tasks 10000 --seed 1
	.venv/bin/pytest tests/e2e --with-e2e -m long

.PHONY: bench
bench: setup ## Ferryman beside the peers of .bench, interleaved: rates, latency, memory, kill -9 (ARGS="--quick", "--help")
	$(PY) benchmarks/side_by_side.py $(ARGS)

.PHONY: bench-peers
bench-peers: ## Install the peers that make bench compares with into .bench, versions pinned
	@benchmarks/peers/install

.PHONY: bench-page
bench-page: setup ## Put the table of the last make bench into docs/performance.md
	$(PY) benchmarks/side_by_side.py --from benchmarks/results/side_by_side.json --page docs/performance.md

.PHONY: bench-scale
bench-scale: setup ## What each operation costs Redis at a thousand and at a million, into docs/performance.md
	$(PY) benchmarks/scale.py --page docs/performance.md $(ARGS)

.PHONY: bench-redis
bench-redis: setup ## How many tasks one core of Redis takes, into docs/performance.md
	$(PY) benchmarks/redis_ceiling.py --page docs/performance.md $(ARGS)

.PHONY: bench-prices
bench-prices: setup ## What each feature costs a task in Redis and in Python, into docs/performance.md
	$(PY) benchmarks/feature_prices.py --page docs/performance.md $(ARGS)

.PHONY: bench-enqueue
bench-enqueue: setup ## What the time of one enqueue and the bytes of a waiting task are made of, into docs/performance.md
	$(PY) benchmarks/enqueue_profile.py --page docs/performance.md $(ARGS)

.PHONY: bench-guard
bench-guard: setup ## Is what is fast still as fast? Ratios to references measured alongside; ends with 1 when not
	$(PY) benchmarks/guard.py $(ARGS)

.PHONY: bench-guard-renew
bench-guard-renew: setup ## Measure the guard's floors anew, on a machine with nothing else to do; commit the file
	$(PY) benchmarks/guard.py --renew --pairs 15

.PHONY: bench-startup
bench-startup: setup ## What starting a worker costs, alone and twenty at once, its memory when idle, and its dearest imports
	$(PY) benchmarks/worker_startup.py

.PHONY: bench-metrics
bench-metrics: setup ## What metrics cost a worker on no-op tasks: with them and without, pair by pair
	$(PY) benchmarks/metrics_cost.py

.PHONY: bench-api
bench-api: setup ## The HTTP API under 1,000 clients at once, also while it is killed: rates, and that nothing was lost
	$(PY) benchmarks/api_load.py
	$(PY) benchmarks/api_load.py --kill

.PHONY: bench-dashboards
bench-dashboards: setup ## What every dashboard panel costs a Prometheus with 500 queues: time, samples read, series drawn
	PYTHONPATH=dashboards/src $(PY) benchmarks/dashboards_at_500_queues.py

.PHONY: bench-storms
bench-storms: setup ## A million tasks due, purged, revived or trimmed at once: rates, and how long Redis' commands took
	$(PY) benchmarks/promotion_storm.py
	$(PY) benchmarks/bulk_moves.py

.PHONY: bench-operator
bench-operator: setup ## One operator with 1,000 TaskQueues on fake nodes: passes, reaction, memory, writes (10 minutes)
	@hack/cluster/build --kwok
	PYTHONPATH=tests/control_plane/plane $(PY) benchmarks/operator_at_1000_queues.py

.PHONY: bench-scaling
bench-scaling: setup ## The autoscaler beside KEDA's, on simulated loads
	$(PY) benchmarks/scaling_vs_keda.py
