# Every task of the project. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
DOCKLET := target/debug/docklet
ASSETS := portal/assets/dist/style.css
CARGO_DENY := 0.20.2

.PHONY: help setup assets build up down status test test-rust test-browser test-cli test-chaos chaos test-sim sim sim-many sim-binary lint bless measured bench-start bench-workers bench-store bench-failover bench-follow bench-network bench-proxy bench-moves bench-lists bench-portal clean

help: ## List the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: ## Install what this machine lacks (Debian 12 or 13, as root)
	@scripts/setup

$(ASSETS): portal/assets/package-lock.json $(wildcard portal/assets/*.mjs portal/assets/*.js portal/assets/terminal/*.js portal/assets/*.css)
	cd portal/assets && npm ci --no-audit --no-fund --loglevel=error && node build.mjs

assets: $(ASSETS) ## Bundle the portal's scripts and style sheet

build: setup $(ASSETS) ## Build the binary
	cargo build --locked

up: build ## Start three masters, two workers and the portal on this machine
	$(DOCKLET) dev up

down: ## Stop the dev cluster; its data stays
	$(DOCKLET) dev down

status: ## Show the dev cluster's processes
	$(DOCKLET) dev status

.PHONY: criu
criu: setup ## Build CRIU, which moves vnodes that run, and install it where agents look for it (once, about a minute)
	@scripts/setup-criu

test: build criu test-rust test-sim test-chaos test-cli test-browser ## Run all tests: unit, stories, model, Raft on redb, simulation, faults, real LXC, browser

test-rust: $(ASSETS) criu ## Unit tests, stories, model, Raft
	cargo test --locked --workspace --exclude docklet-chaos-tests --exclude docklet-simulation

test-chaos: build ## Masters killed, frozen and cut off, histories checked: a short run
	cargo test --locked -p docklet-chaos-tests -- --nocapture

chaos: build ## The same at full length, with times held against their bars
	CHAOS_BARS=1 CHAOS_LEADER_KILLS=30 CHAOS_TOTAL_KILLS=10 CHAOS_FREEZES=50 CHAOS_FREEZE_MS=10000 CHAOS_STOPS=30 CHAOS_CUTS=10 CHAOS_FOLLOWERS=100 CHAOS_FOLLOW_KILLS=20 \
	cargo test --locked -p docklet-chaos-tests -- --nocapture

SIM := target/sim/sim
SEED ?= 1
FIRST ?= 1
N ?= 2000
SECONDS_OF_SEEDS ?= 40

sim-binary:
	cargo build --locked --profile sim -p docklet-simulation

test-sim: sim-binary ## Simulated clusters under seeded faults: those that once found something, then new seeds for 40 s
	$(SIM) twice $(SEED)
	$(SIM) stories
	$(SIM) many $(FIRST) $(N) $(SECONDS_OF_SEEDS)

sim: sim-binary ## Replay one simulated cluster: make sim SEED=7; RUST_LOG=docklet_raft=debug tells more
	$(SIM) run $(SEED)

sim-many: sim-binary ## Simulate many clusters: make sim-many N=2000, from FIRST=1 on; stops at the first that fails
	$(SIM) many $(FIRST) $(N)

test-cli: build ## The whole by command line, on a cluster of its own
	@# Three at a time: they wait for vnodes and elections most of the time, and each has a cluster of its own.
	node chaos-tests/run.mjs 3 chaos-tests/cli/*.test.mjs

.PHONY: test-recipes
test-recipes: build ## The recipes python3 and jupyter: built, booted, used by command line and in a browser (minutes; no part of `make test`)
	cd chaos-tests/browser && npm ci --no-audit --no-fund --loglevel=error
	node chaos-tests/run.mjs 1 chaos-tests/slow/*.test.mjs

test-browser: build ## The whole in a real Chromium, on a cluster of its own; screenshots in target/screenshots
	cd chaos-tests/browser && npm ci --no-audit --no-fund --loglevel=error
	node chaos-tests/run.mjs --own-network 2 chaos-tests/browser/*.test.mjs

.PHONY: test-defences
PATTERN ?= .
test-defences: $(ASSETS) ## Take each defence away and see that its test misses it: PATTERN=oidc for some (an hour; no part of `make test`)
	node chaos-tests/defences/run.mjs '$(PATTERN)'

.PHONY: test-files-large
test-files-large: build ## 5 GiB to a vnode and back, hashed at both ends (minutes, and 6 GiB of disk; no part of `make test`)
	FILES_LARGE=1 node --test --test-concurrency=1 chaos-tests/cli/files.test.mjs

.PHONY: test-debian
SUITES ?= bookworm trixie
FILES ?= first_light day network moves
test-debian: build criu ## Debian machines with their own kernels, systemd and cgroup 2 only, in qemu: a worker's tests, and some by command line (hours; no part of `make test`)
	tests=$$(cargo test --locked -p docklet-agent --test lxc --no-run --message-format json | sed -n 's|.*"executable":"\([^"]*/lxc-[^"]*\)".*|\1|p'); \
	for suite in $(SUITES); do \
	  chaos-tests/debian/machine $$suite worker.sh "$$tests"; \
	  chaos-tests/debian/machine $$suite cluster.sh $(FILES); \
	done

lint: $(ASSETS) ## Formatting, clippy, and whether each listed defence is in its source; room arrows are in test-rust and deny
	node --test chaos-tests/defences/list.test.mjs
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

bless: ## Rewrite the expected parts of the story files
	BLESS=1 cargo test --locked -p docklet-control --test stories

.PHONY: bless-openapi
bless-openapi: $(ASSETS) ## Record the document of the HTTP interface; read in the diff what changes for programs
	BLESS=1 cargo test --locked -p docklet-portal --lib openapi

.PHONY: man
man: build ## Write manual pages of all commands to target/man
	$(DOCKLET) man target/man

bench-start: measured ## Time from `vc create --wait` to running, beside lxc-start and incus launch of the same rootfs
	PARTS=create node chaos-tests/bench/workers.mjs

bench-workers: measured ## Workers beside bare LXC and Incus (PARTS=create,exec,scale,agent,hold PAIRS=15 BULK_PAIRS=3 HOLD=500)
	node chaos-tests/bench/workers.mjs

.PHONY: test-gpu
test-gpu: $(ASSETS) ## GPUs: a stand-in for the driver's library, and the real one where there is a card (needs root)
	cargo test --locked -p docklet-agent --test gpu -- --nocapture
	cargo test --locked -p docklet-agent --test lxc gpu -- --nocapture

.PHONY: test-shared-home
test-shared-home: build ## The shared home on a real GlusterFS volume of two bricks (installs GlusterFS)
	scripts/setup-shared-home
	node --test --test-concurrency=1 chaos-tests/shared-home/*.test.mjs

.PHONY: bench-meters
bench-meters: measured ## CPU and memory of an agent that measures a hundred vnodes (VNODES=100 SECONDS=30)
	node chaos-tests/bench/meters.mjs

.PHONY: bench-logins
bench-logins: measured ## Logins and pages with all masters on one core (LOGINS=200 SECONDS=60 PAGES_PER_S=20)
	node chaos-tests/bench/logins.mjs

.PHONY: test-lost
test-lost: build ## Workers lost and masters troubled, each kind of fault once and then at random, with a recorder in the vnodes (LOST_FAULTS=100 LOST_SEED=1; half an hour)
	LOST_FAULTS=$${LOST_FAULTS:-100} node --test chaos-tests/cli/lost.test.mjs

.PHONY: test-moves-crash
test-moves-crash: build criu ## Moves while something dies: every event of every way with every death, every step of a checkpoint (half an hour; `make test` draws a sample, MOVES_CRASH_SEED=1)
	MOVES_CRASH=all cargo test --locked -p docklet-agent --test lxc checkpoint::crash -- --nocapture
	MOVES_CRASH=all node --test chaos-tests/cli/moves-crash.test.mjs

.PHONY: test-agent-crash
test-agent-crash: criu ## An agent killed at each change of each act that has no test of its own (`make test` draws a sample, AGENT_CRASH_SEED=1)
	AGENT_CRASH=all cargo test --locked -p docklet-agent --test lxc crash::acts -- --nocapture

.PHONY: golden
golden: ## Record what the present cluster version writes, once, beside the recordings of those before
	RECORD=1 cargo test --locked -p docklet-control --test stories recorded
	RECORD=1 cargo test --locked -p docklet-raft --lib recorded

measured: $(ASSETS)
	scripts/setup-bench
	cargo build --locked --profile measure -p docklet -p docklet-chaos-tests

bench-store: measured ## The store beside etcd: rates, latencies, memory, restart (PARTS=rates,idle,big PAIRS=3 SECONDS=6)
	target/measure/bench_store

bench-failover: measured ## From a fault of the leader to the next accepted write, beside etcd (FAULTS=50)
	target/measure/bench_failover

bench-follow: measured ## From a change to the worker that follows, 10,000 of them on one master, and memory (FOLLOWERS=10000 SAMPLES=2000 HEARTBEAT_MS=500)
	target/measure/bench_follow

bench-moves: measured criu ## Moves between workers, as a peer sees them, emptying a worker, and the scheduler alone (PARTS=refresh,live,jupyter,drain MOVES=6 VNODES=50)
	target/measure/bench_place
	node chaos-tests/bench/moves.mjs

bench-portal: measured ## The portal: echo of keys, changes seen, a page of 1,000 vnodes, each page beside 500, first load, open pages and terminals (PARTS=load,echo,live,page,pages,streams,terminals)
	for packages in bench browser; do (cd chaos-tests/$$packages && npm ci --no-audit --no-fund --loglevel=error); done
	@# As in `make test-browser`.
	chaos-tests/in-own-network chaos-tests/bench/portal.mjs

bench-lists: measured ## Lists of 10,000 people and 50,000 vnodes, a page at a time (USERS=10000 VNODES=50000)
	target/measure/bench_lists

bench-proxy: measured ## The proxy beside nginx and configurable-http-proxy (PAIRS=5 SECONDS=5)
	scripts/setup-bench proxies
	node chaos-tests/bench/proxy.mjs

bench-network: measured ## Throughput between vnodes on two workers, beside plain veth (PAIRS=7 SECONDS=3)
	scripts/setup-bench iperf3
	node chaos-tests/bench/network.mjs

clean: ## Delete what was built
	cargo clean
	rm -rf portal/assets/dist portal/assets/node_modules chaos-tests/browser/node_modules chaos-tests/bench/node_modules

.PHONY: deny advisories cargo-deny
cargo-deny:
	cargo deny --version 2>/dev/null | grep -qF '$(CARGO_DENY)' || cargo install --debug --locked cargo-deny@$(CARGO_DENY)

deny: cargo-deny ## Check room arrows, licences and sources with cargo-deny (installs it, some minutes)
	cargo deny --locked --offline check bans licenses sources

advisories: cargo-deny ## Check for known weaknesses; fetches the RustSec database from GitHub
	cargo deny --locked check advisories
