# Everything runs from .venv, which is made when it is missing or older than pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What the tests ask of Node: another validator, another YAML reader, an editor's language server.
NODE := tests/node/node_modules/.package-lock.json
REFERENCE := PYTHONUTF8=1 $(BIN)/python -c "import sys; from pulpo.codes.pages import reference; sys.stdout.write(reference())"

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types imports schema pages docs codes reference licences golden pictures bench spell vendor build clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[api,beanie,dask,docker,prefect,ui]" --group dev
	@touch $@

$(NODE): tests/node/package-lock.json
	npm ci --prefix tests/node --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

demo: $(READY) ## run the flights pipeline over real data, from nothing
	$(BIN)/pulpo --project examples/flights run pipeline

test: $(READY) $(NODE) ## all tests
	$(BIN)/pytest -n 2 --dist loadgroup

check: format lint types imports schema pages docs spell ## everything but the tests

format: $(READY) ## is the code formatted?
	$(BIN)/ruff format --check .

lint: $(READY) ## ruff
	$(BIN)/ruff check .

types: $(READY) ## strict types
	$(BIN)/mypy

imports: $(READY) ## the import contract
	$(BIN)/lint-imports

schema: $(READY) ## are pulpo.schema.json and schemas/ as the code makes them?
	$(BIN)/pulpo schema --check

pages: $(READY) ## are docs/diagnostics.md and docs/reference as the code makes them?
	$(REFERENCE) | diff docs/diagnostics.md -
	$(BIN)/python -m tests.docs.reference --check

docs: $(READY) ## the documentation as a site, in build/site, with all links checked
	@# Not --quiet: what is not told is not counted, and a broken link would be fine.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --config-file .mkdocs.yml --site-dir build/site

codes: $(READY) ## write docs/diagnostics.md from the pages in pulpo/codes
	$(REFERENCE) > docs/diagnostics.md

reference: $(READY) ## write docs/reference from the code
	$(BIN)/python -m tests.docs.reference

licences: $(READY) ## write docs/licences.md from the metadata of packages; asks the package index
	$(BIN)/python -m tests.docs.licences

golden: $(READY) ## write the golden files anew; read the diff
	$(BIN)/pytest -q tests --update-golden -m golden

pictures: $(READY) ## draw docs/images anew; look at them
	$(BIN)/python -m tests.docs.pictures
	$(BIN)/python -m tests.ui.screenshots

bench: $(READY) ## the benchmarks, side by side
	for name in commands engine manifest store prefect api services ui; do $(BIN)/python benchmarks/$$name.py || exit 1; done

spell: $(READY) ## spelling
	$(BIN)/codespell pulpo examples docs benchmarks README.md CHANGELOG.md CONTRIBUTING.md

vendor: $(READY) ## get what the UI has of others anew, and check it
	$(BIN)/python -m tests.ui.vendor

build: $(READY) ## the sdist, and the wheel that is made from it, in dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

clean: ## remove what was made
	rm -rf $(VENV) tests/node/node_modules dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache benchmarks/.peers
	find . -name __pycache__ -prune -exec rm -rf {} +
