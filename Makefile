# Each target sets up what it needs on a fresh machine; the Python used is PYTHON.

PYTHON ?= python3
# tensorflow-addons needs Python <= 3.11.
ADDONS_PYTHON ?= $(firstword $(foreach v,3.11 3.10,$(shell command -v python$(v))) python3.11)
BIN := .venv/bin
ADDONS_BIN := .venv-addons/bin
RUFF_FLAGS := --target-version=py310 --extend-select=I,B,UP,SIM
DEMO := runs/demo
DEMO_FLAGS := --precision=auto

.PHONY: install demo test test-fast test-addons lint format bench clean

install: .venv/.installed

.venv/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

.venv-addons/.installed: setup.cfg pyproject.toml
	$(ADDONS_PYTHON) -m venv .venv-addons
	$(ADDONS_BIN)/python -m pip install --quiet --upgrade pip
	$(ADDONS_BIN)/python -m pip install --quiet --editable '.[dev,addons]'
	touch $@

# A plain VAE and a DFC-VAE: same seed, data order and number of steps; then both compared.
demo: install
	$(BIN)/python -m dfcvae_tf.train --preset=mnist-vae $(DEMO_FLAGS) --run_dir=$(DEMO)/vae
	$(BIN)/python -m dfcvae_tf.train --preset=mnist-dfc-vae $(DEMO_FLAGS) --run_dir=$(DEMO)/dfc
	$(BIN)/python -m dfcvae_tf.evaluate --runs=vae=$(DEMO)/vae,dfc=$(DEMO)/dfc --output_dir=$(DEMO)/report
	@echo
	@echo "Look at $(DEMO)/report/report.html; losses and images during training are in"
	@echo "  $(BIN)/tensorboard --logdir=$(DEMO)"

test: install
	$(BIN)/python -m pytest

test-fast: install
	$(BIN)/python -m pytest -m "not slow"

test-addons: .venv-addons/.installed
	$(ADDONS_BIN)/python -m pytest

lint: install
	$(BIN)/ruff format --target-version=py310 --check .
	$(BIN)/ruff check $(RUFF_FLAGS) .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check $(RUFF_FLAGS) --fix .
	$(BIN)/ruff format --target-version=py310 .

bench: install
	$(BIN)/python -m tools.benchmark train

clean:
	rm -rf .venv .venv-addons build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
