PYTHON ?= python3
VENV := .venv
TRAIN_VENV := .venv-train
PEERS_VENV := .venv-peers
MACHINES_VENV := .venv-machines
BIN := $(VENV)/bin
N ?= 4
KILLS ?= 300
SEED ?= 0

.PHONY: test test-train test-machines loop-demo chaos eval lint check bench screenshots clean

# Run the project's own tests; any arguments for pytest go into ARGS.
test: $(VENV)/.dev
	$(BIN)/pytest -n $(N) $(ARGS)

# Train tiny models and serve them, in a virtual environment of its own: it holds torch.
test-train: $(TRAIN_VENV)/.installed
	$(TRAIN_VENV)/bin/pytest tests/test_train.py tests/test_train_local.py tests/test_train_loop.py $(ARGS)

# What several machines are for: Ray clusters, and runs shared over S3; in a virtual environment that holds both.
test-machines: $(MACHINES_VENV)/.installed
	$(MACHINES_VENV)/bin/pytest tests/test_ray.py tests/test_export_s3.py $(ARGS)

# A tiny model that knows no protocol through the whole loop, offline, under half an hour on two cores: docs/loop-demo.md.
loop-demo: $(TRAIN_VENV)/.installed
	rm -rf .repoagent/loop-demo
	OMP_NUM_THREADS=1 $(TRAIN_VENV)/bin/python bench/loop_demo.py

# Kill processes of runs at random, KILLS times (about three seconds each), and see that nothing is lost.
chaos: $(VENV)/.dev
	CHAOS_KILLS=$(KILLS) CHAOS_SEED=$(SEED) $(BIN)/pytest tests/test_chaos.py $(ARGS)

# Evaluate the built-in repair model on the bundled held-out tasks. No key, no network.
eval: $(VENV)/.installed
	$(BIN)/pytest -n $(N) --model=repair --suite=minibugs_heldout --max-iters=40 $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What .ci/run calls: lint, types, suites, tests.
check: lint
	$(BIN)/repoagent suite check
	$(MAKE) test

bench: $(VENV)/.dev $(PEERS_VENV)/.installed
	$(BIN)/python bench/overhead.py --peers $(PEERS_VENV)/bin/python
	$(BIN)/python bench/store_size.py
	$(BIN)/python bench/idle_cost.py
	$(BIN)/python bench/testrun.py
	$(BIN)/python bench/sft_speed.py --rollouts 2000

# Make docs/report-*.png anew from a run of built-in models (some minutes). Needs Chromium.
screenshots: $(VENV)/.dev
	rm -rf .repoagent/screenshots
	-$(BIN)/pytest -q -n $(N) --model=repair --model=novice:repair@0.3 --suite=minibugs_heldout --rollouts=2 \
		--max-iters=40 --store=.repoagent/screenshots/store.duckdb
	$(BIN)/python bench/report_browser.py --screenshots=docs .repoagent/screenshots/store.duckdb

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	touch $@

$(TRAIN_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(TRAIN_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group dev --editable ".[train]"
	touch $@

$(MACHINES_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(MACHINES_VENV)
	$(MACHINES_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(MACHINES_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group dev --group s3-server --editable ".[ray,s3]"
	touch $@

$(PEERS_VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(PEERS_VENV)/bin/python -m pip install --quiet --constraint constraints.txt --group peers
	touch $@

clean:
	rm -rf $(VENV) $(TRAIN_VENV) $(PEERS_VENV) $(MACHINES_VENV) .repoagent
