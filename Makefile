# Two commands set everything up on a machine with Python >= 3.11, make and git:
#   make demo   builds .venv, installs seqgen and runs recipes/char_lstm.yaml
#   make test   builds .venv, installs seqgen with its test dependencies and runs the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test check lint format docs docs-serve bench soak browser clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    train recipes/char_lstm.yaml (about three minutes)"
	@echo "make test    run the tests, a process for each core, and say which lines they reach"
	@echo "make check   lint and test: what a change must pass"
	@echo "make lint    format, lint, types and floors, without changing anything"
	@echo "make format  put the code into its format"
	@echo "make docs    build the site into site/; make docs-serve shows it while you write"
	@echo "make bench   the standing benchmarks; those of decoding with data: TEXT=FILE G2P=DIR TRANSLATION=DIR"
	@echo "make soak    kills, wrong recipes, damaged runs, many steps: 30 minutes; SCALE=0.05 for two"
	@echo "make browser install Chromium, which a test of the reports drives, if it is missing"
	@echo "make clean   remove the environment and what tools leave behind"

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "seqgen needs Python 3.11 or later; make PYTHON=... names one"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) --editable '.[dev]'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/seqgen run recipes/char_lstm.yaml --overwrite

test: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(or $(JOBS),auto) --dist worksteal --cov --cov-report=term:skip-covered

check: lint test

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

docs-serve: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/train_speed.py
	@if [ -n "$(TEXT)" ]; then $(BIN)/python benchmarks/decoding_language_model.py --path "$(TEXT)"; \
		else echo "decoding_language_model.py needs a text: make bench TEXT=tinyshakespeare.txt"; fi
	@if [ -n "$(G2P)$(TRANSLATION)" ]; then $(BIN)/python benchmarks/decoding_seq2seq.py \
		$(if $(G2P),--g2p "$(G2P)") $(if $(TRANSLATION),--translation "$(TRANSLATION)"); \
		else echo "decoding_seq2seq.py needs pairs: make bench G2P=cmudict TRANSLATION=fra-eng-tutorial"; fi

soak: $(VENV)/installed-dev
	$(BIN)/python benchmarks/soak.py --scale $(or $(SCALE),1) --seed $(or $(SEED),1)

# Where it may not be installed, the tests that need it are skipped with a reason.
browser:
	@for name in chromium chromium-browser google-chrome; do \
		command -v $$name > /dev/null && exit 0; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq; \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null && exit 0; \
	fi; \
	echo "no Chromium, and it could not be installed: tests that need it are skipped"

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
