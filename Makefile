# Every target does the set-up it needs; a fresh machine needs python3 (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PAGES := README.md $(wildcard docs/*.md)
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check bench answers train docs results clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## Make .venv and install tamis with everything it needs

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tamis needs Python 3.11 or newer, $(PYTHON) is %d.%d; say make PYTHON=/path/to/python" % sys.version_info[:2])'
	@echo "setting up .venv (once, a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@$(BIN)/python -c 'from importlib.util import find_spec; import sys; bad = [p for p in ("torchvision", "torchaudio") if find_spec(p)]; sys.exit("installed, but breaks transformers: " + ", ".join(bad) + "; uninstall it" if bad else 0)'
	@touch $@

demo: setup ## Run every domain on built-in input and write tamis-demo/index.html
	@$(BIN)/tamis models pull vit-s14-focus
	@$(BIN)/tamis demo

test: setup ## Run the tests: offline, on the CPU, a few minutes
	@$(BIN)/python -m pytest -q

test-all: setup ## Run all tests, the slow ones too
	@$(BIN)/python -m pytest -q -m ''

check: setup ## Check format, lint, types, docstrings, imports, rendered tables and the documentation
	@$(BIN)/ruff format --quiet --check . || { echo "run: $(BIN)/ruff format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/python -m pytest -q tests/test_docstrings.py > .venv/docstrings.log || { cat .venv/docstrings.log; exit 1; }
	@$(BIN)/lint-imports > .venv/imports.log || { cat .venv/imports.log; exit 1; }
	@$(BIN)/cog --check --diff --check-fail-msg="run: make results" $(PAGES) > .venv/cog.log || { cat .venv/cog.log; exit 1; }
	@NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict
	@echo "all checks passed"

bench: setup ## Run the benchmarks on an idle machine and append their result lines; needs a clean tree
	@for script in vision_cost vision_prefill radio_generate radio_shipped language_cover; do $(BIN)/python benchmarks/$$script.py --write || exit 1; done

answers: setup ## Examine every method on scenes, some two hours of one core; needs a clean tree
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/vision_answers.py --write

train: setup ## Train the radio grid, some fifteen hours of one core; goes on where it was stopped, needs a clean tree
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/radio_grid.py --stages test,skd,skd-search,rates,classical,ablation,few,presets,sizes,limit
	@$(BIN)/python benchmarks/radio_headlines.py --write

docs: setup ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet --strict
	@echo "site/index.html"

results: setup ## Render the result lines into README and docs
	@$(BIN)/cog -r $(PAGES)

clean: ## Remove what was built; .venv and results stay
	@rm -rf site dist tamis-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
