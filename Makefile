# Each target sets up what it needs on a fresh machine; the Python used is PYTHON.

PYTHON ?= python3
# tensorflow-addons needs Python <= 3.11.
ADDONS_PYTHON ?= $(firstword $(foreach v,3.11 3.10,$(shell command -v python$(v))) python3.11)
BIN := .venv/bin
ADDONS_BIN := .venv-addons/bin
RUFF_FLAGS := --target-version=py310 --extend-select=I,B,UP,SIM
DEMO := runs/demo
DEMO_FLAGS := --precision=auto
LITERT := export/web/node_modules/.package-lock.json

# Tests of one file share a process; two processes fill two cores. Files go in the order of
# tests/conftest.py: those of a single, long test last would leave a core idle.
PYTEST_FLAGS := -n 2 --dist loadfile --no-loadscope-reorder
# More threads for an operator would take the cores from each other.
PYTEST_ENV := TF_NUM_INTRAOP_THREADS=1

.PHONY: install demo web test test-fast test-addons lint format bench clean

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

# A DFC-VAE is trained, compared with two of the bundled runs and exported, in three minutes
# on two cores. A short training bears a high learning rate; a thousand test images tell as
# much to look at as all of them.
demo: install
	$(BIN)/python -m dfcvae_tf.train --preset=mnist-dfc-vae --steps=600 --batch_size=64 --learning_rate=0.003 $(DEMO_FLAGS) --run_dir=$(DEMO)/dfc
	$(BIN)/python -m dfcvae_tf.evaluate --runs=vae=pretrained:mnist_vae,dfc=$(DEMO)/dfc,gan=pretrained:mnist_dfc_vae_gan --num_images=1000 --importance_samples=5 --output_dir=$(DEMO)/report
	$(BIN)/python -m export --run_dir=$(DEMO)/dfc --output_dir=$(DEMO)/export --quantize=float32,int8 --saved_model=no $(if $(wildcard $(LITERT)),--web)
	$(BIN)/python -m tools.demo_page --dir=$(DEMO)

# LiteRT.js, for `python -m export --web`.
web: $(LITERT)

$(LITERT): export/web/package-lock.json
	npm ci --prefix export/web --no-audit --no-fund
	touch $@

test: install
	$(PYTEST_ENV) $(BIN)/python -m pytest $(PYTEST_FLAGS)

test-fast: install
	$(PYTEST_ENV) $(BIN)/python -m pytest $(PYTEST_FLAGS) -m "not slow"

test-addons: .venv-addons/.installed
	$(PYTEST_ENV) $(ADDONS_BIN)/python -m pytest $(PYTEST_FLAGS)

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
