# Everything runs in .venv, which is made when it is missing or pyproject.toml has changed.
PYTHON ?= python3
BIN := .venv/bin

# Packs bundles for desktop assistants; npm keeps it in its own cache.
MCPB := npm exec --yes --package=@anthropic-ai/mcpb@2.1.2 -- mcpb

.PHONY: setup demo test check conformance docs format mcpb clean

setup: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/mcp-vlsearch demo --out demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile
	$(BIN)/python -m pytest -n 2 --dist loadfile --index milvus -m end_to_end

# Needs npm, which fetches Node 22; says so where that can't be.
conformance: setup
	$(BIN)/python -m tests.conformance

docs: setup
	$(BIN)/mkdocs build --strict

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

mcpb:
	$(MCPB) validate packaging/mcpb/manifest.json
	mkdir -p dist
	$(MCPB) pack packaging/mcpb dist/mcp-vlsearch.mcpb

clean:
	rm -rf .venv demo
