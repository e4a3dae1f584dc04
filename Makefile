# Each target makes or refreshes .venv by itself; PYTHON may name another interpreter (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TARGETS := $(VENV)/.targets
KINDS := qdrant weaviate elasticsearch opensearch pinecone milvus
# Most tests wait for something. Files stay whole: their tests share stacks.
TWO_AT_A_TIME := -p xdist -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: drill drill-full test test-all lint format bench bench-purge matrix mutation screenshots lock clean

drill: $(READY)  ## roll the embedded stack back, from an incident to FAISS-only
	$(BIN)/pytest drill_tests --sandbox --apply --reason "make drill"

drill-full: $(READY)  ## rehearse, roll back, purge and re-open on the embedded stack
	$(BIN)/python -m sandbox.full

test: $(TARGETS)  ## the quick tests, with long sweeps sampled
	$(BIN)/pytest tests -m "not long" -rs $(TWO_AT_A_TIME)

test-all: $(TARGETS)  ## everything, long sweeps whole
	$(BIN)/pytest tests

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## speed, as ratios of one run
	$(BIN)/python -m bench

matrix: $(READY)  ## every fault against the drill, on both metric sources; then docs/detection-matrix.md
	$(BIN)/python -m matrix --write-docs

mutation: $(READY)  ## break the checks in every small way: a test must notice each
	$(BIN)/python -m mutation --write-docs

screenshots: $(READY)  ## the pictures of the docs, each of a real drill
	$(BIN)/python -m tests.browser.screenshots

bench-purge: $(READY)  ## comparing, scanning and purging at size, as ratios to the bare engine and driver
	$(BIN)/python -m bench.purge

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/pip-compile --quiet --upgrade --extra sandbox --extra dask --extra dev --generate-hashes --allow-unsafe --strip-extras \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	$(BIN)/pip-compile --quiet --upgrade $(addprefix --extra ,$(KINDS) engines) --generate-hashes --allow-unsafe --strip-extras \
		--constraint requirements.lock --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--output-file requirements-targets.lock pyproject.toml

$(READY): requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m compileall -q drill fixtures sandbox  # a drill starts fast even where bytecode is never written
	touch $(READY)

# The vendors' clients and the engines that the contract tests of the targets run against: not needed for a drill.
$(TARGETS): requirements-targets.lock $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-targets.lock
	touch $(TARGETS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build
