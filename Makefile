PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
N ?= 4

.PHONY: test eval lint check bench clean

# Run the project's own tests; any arguments for pytest go into ARGS.
test: $(VENV)/.dev
	$(BIN)/pytest -n $(N) $(ARGS)

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

bench: $(VENV)/.dev
	$(BIN)/python bench/idle_cost.py
	$(BIN)/python bench/testrun.py

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	touch $@

clean:
	rm -rf $(VENV) .repoagent
