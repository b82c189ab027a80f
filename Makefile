# Everything that a person or a machine does with this repository.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
SET_UP := .venv/.set-up

.PHONY: help search test test-chaos bench-train table check format docs-figures wheel clean
.DEFAULT_GOAL := help

help:  ## List these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(SET_UP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found on PATH" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[export,test]'
	@touch $(SET_UP)

search: $(SET_UP)  ## Search small networks on real images (no download), and show the front
	$(BIN)/igcv search examples/digits.yaml

test: $(SET_UP)  ## Run the tests (with IGCV_DATA=FOLDER also those that need its images)
	$(BIN)/python -m pytest

bench-train: $(SET_UP)  ## Measure training beside a plain PyTorch loop (quarter of an hour on two cores, nothing else running)
	$(BIN)/igcv bench train

test-chaos: $(SET_UP)  ## Ten long storms over a cluster of processes (hours); chaos.json says what was killed when
	$(BIN)/python -m tests.chaos --storms 10 --trials 60 --report chaos.json

IGCV_DATA ?= data
TABLE := docs/results/cifar10-16px.parquet
table: $(SET_UP)  ## Train every network of a small space of six families for real (hours; goes on where it was left)
	$(BIN)/igcv search examples/cifar10-table.yaml data.path=$(IGCV_DATA)/cifar10
	$(BIN)/igcv evaluate cifar10-16px --on validation --within 0.01 --seeds 2 --no-references
	$(BIN)/igcv table cifar10-16px -o $(TABLE)

check: $(SET_UP)  ## Lint, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(SET_UP)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs-figures: $(SET_UP)  ## Draw the README's figures from runs/digits (needs Chromium)
	$(BIN)/igcv front digits --figure docs/results/digits.svg
	$(BIN)/python -m tests.browser.picture digits -o docs/results/dashboard.png

wheel: $(SET_UP)  ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:  ## Remove what was built (studies under runs/ stay)
	rm -rf .venv dist build *.egg-info
