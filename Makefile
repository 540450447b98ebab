# Verbs: demo test test-deaths test-browser test-campaign test-cluster lint types contracts docs parity bench bench-load bench-proxy bench-pods bench-site bench-schedule three-daemons schedule-demo gameday-demo simulate-year calibrate endurance soak-demo real wheel-test clean
PY ?= python3
BIN := .venv/bin
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/chaos-runner/real
TOXIPROXY_VERSION := 2.12.0
K6_VERSION := 1.8.1
PYTEST_ARGS ?=
# Processes that share the test files out; most tests wait for something, so there are more than cores.
WORKERS ?= 4
# By files, in the order that tests/conftest.py gives them: what takes longest begins first.
SHARED := --dist loadfile --no-loadscope-reorder
CLUSTERS := tests/kube tests/pocket/cluster tests/faults/kube
# Whole runs in worlds of processes, daemons, and whoever is killed meanwhile.
DEATHS := tests/demo tests/crash tests/guardian tests/real/test_http_stage.py \
	tests/real/test_http_stage_runs.py tests/real/test_toxiproxy_two_runners.py tests/faults/test_stage.py \
	tests/faults/test_max_affected.py tests/signals/test_real.py tests/schedule_daemon/test_daemons.py \
	tests/console/test_conducted.py tests/pocket/test_demo.py tests/pocket/test_end_to_end.py \
	tests/pocket/test_world.py tests/conductor/test_days.py tests/conductor/test_deaths.py
PAGES := tests/browser
BENCH_ARGS ?=
BENCH_PROXY_ARGS ?=
BENCH_PODS_ARGS ?=
BENCH_SITE_ARGS ?=
SOAK_ARGS ?=
CRASH_ARGS ?=
ENDURANCE_ARGS ?=
THREE_ARGS ?=
SCHEDULE_ARGS ?=
GAMEDAY_ARGS ?=
YEAR_ARGS ?=
SEEDS ?= 10000
EXAMPLES ?= 2000
# Hundreds of Python processes are started: without its cache each compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-deaths test-browser test-campaign test-cluster lint types contracts docs shop parity bench bench-load bench-proxy bench-pods bench-site bench-schedule three-daemons schedule-demo gameday-demo simulate-year calibrate endurance soak-demo real k6 wheel-test clean kube-build kube-up kube-down

.venv/.core: pyproject.toml constraints.txt
	$(PY) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.test: .venv/.core
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

demo: .venv/.core
	$(BIN)/chaos-runner demo

test: .venv/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m "not campaign" \
		$(addprefix --ignore=,$(CLUSTERS) $(DEATHS) $(PAGES)) $(PYTEST_ARGS)

test-deaths: .venv/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m "not campaign" $(DEATHS) $(PYTEST_ARGS)

# Pages in a real Chromium.
test-browser: .venv/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m "not campaign" $(PAGES) $(PYTEST_ARGS)

# More crash points, seeds, deaths and hostile pages than every change needs.
test-campaign: .venv/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m campaign $(addprefix --ignore=,$(CLUSTERS)) $(PYTEST_ARGS)

# What needs a whole cluster: the pocket one, kubectl, and where it is built a real control plane.
test-cluster: .venv/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) $(CLUSTERS) $(PYTEST_ARGS)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

contracts: .venv/.test
	$(BIN)/lint-imports

docs: .venv/.test
	$(BIN)/python tools/make_docs.py

# docker-compose.yml and deploy/shop, from the table of the demo shop.
shop: .venv/.test
	$(BIN)/python tools/make_shop.py

# Runs the parity suite on the embedded proxy and the real Toxiproxy and writes docs/parity.md.
parity: .venv/.test real
	$(BIN)/python tools/parity_table.py

calibrate: .venv/.test
	$(BIN)/python tools/calibrate.py

bench: .venv/.test .venv-rival/.made kube-build
	$(BIN)/python tools/bench.py $(BENCH_ARGS); first=$$?; \
	$(BIN)/python tools/bench_site.py $(BENCH_SITE_ARGS); second=$$?; \
	$(BIN)/python tools/bench_pods.py $(BENCH_PODS_ARGS) && exit $$(( first + second ))

# The site of 5 000 runs, which take minutes to be made; for less: make bench-site BENCH_SITE_ARGS="--runs 500"
bench-site: .venv/.test
	$(BIN)/python tools/bench_site.py $(BENCH_SITE_ARGS)

# A plan on 50 000 pods, and on 5 000 of a real API server, beside chaosk8s, which has a venv of its own.
bench-pods: .venv/.test .venv-rival/.made kube-build
	$(BIN)/python tools/bench_pods.py $(BENCH_PODS_ARGS)

.venv-rival/.made:
	$(PY) -m venv .venv-rival
	.venv-rival/bin/pip install --quiet --disable-pip-version-check chaostoolkit-kubernetes 'kubernetes<37'
	@touch $@

bench-load: .venv/.test k6
	$(BIN)/python tools/bench_load.py --require-k6

# The embedded proxy beside the real one; for less: make bench-proxy BENCH_PROXY_ARGS=--quick
bench-proxy: .venv/.test real
	$(BIN)/python tools/bench_proxy.py $(BENCH_PROXY_ARGS)

# Thousands of connections, a stream through eight toxics, five minutes of churn.
endurance: .venv/.test
	$(BIN)/python tools/endurance_proxy.py $(ENDURANCE_ARGS)

# Twenty times each way; for less: make soak-demo SOAK_ARGS="--times 3"
soak-demo: .venv/.core
	$(BIN)/python tools/soak_demo.py $(SOAK_ARGS)

# Killed at every system call, every request and every write, on both servers; then what only a model can order.
crash: .venv/.test explore simulate
	$(BIN)/python tools/crash.py $(CRASH_ARGS)

# Every interleaving of runner, guardian, recovery, a second runner, target, network and deaths, in a model.
explore: .venv/.test
	$(BIN)/python tools/explore.py

# The real engine, guardian and recovery on one virtual clock, by seeds; and in the orders that Hypothesis thinks of.
simulate: .venv/.test
	$(BIN)/python tools/simulate.py --seeds $(SEEDS)
	SIM_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/sim/test_machine.py

# Three schedule daemons, killed, stopped and resumed at random for two minutes.
three-daemons: .venv/.test
	$(BIN)/python tools/three_daemons.py $(THREE_ARGS)

# A year of 200 schedules on a virtual clock, with deaths and clocks that are set: YEAR_ARGS="3" for three of them.
simulate-year: .venv/.test
	$(BIN)/python tools/simulate_year.py $(YEAR_ARGS)

# Five experiments in five minutes on the demo's shops, by a daemon; then the lever.
schedule-demo: .venv/.test
	$(BIN)/python tools/schedule_demo.py $(SCHEDULE_ARGS)

# A game day told by a script, with two deaths in the middle of faults; for none: make gameday-demo GAMEDAY_ARGS=--calm
gameday-demo: .venv/.test
	$(BIN)/python tools/gameday_demo.py $(GAMEDAY_ARGS)

# A hundred thousand schedules, and two thousand that are due at once.
bench-schedule: .venv/.test
	$(BIN)/python tools/bench_schedule.py

# Every death twenty times, and how long the fault outlives it.
matrix: .venv/.test
	$(BIN)/python tools/guardian_matrix.py

# The real parts that tests drive; built or installed by name, shared by all checkouts of this user.
real:
	@sh tools/real.sh "$(CACHE)" "$(TOXIPROXY_VERSION)"

# A real Kubernetes, built by name: minutes once, then seconds. For root with two nodes of real containers.
kube-build:
	@$(PY) tools/kube/build.py

kube-up: .venv/.test
	@$(BIN)/python tools/kube/up.py up

kube-down: .venv/.test
	@$(BIN)/python tools/kube/up.py down

k6:
	@test -x "$(CACHE)/k6-$(K6_VERSION)/k6" || GOBIN="$(CACHE)/k6-$(K6_VERSION)" go install go.k6.io/k6@v$(K6_VERSION)

# The tests that matter for an installed package, against the built wheel instead of the checkout.
wheel-test: .venv/.test
	PY="$(PY)" sh tools/wheel_test.sh

clean:
	rm -rf .venv .venv-wheel .venv-rival dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
