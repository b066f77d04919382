# The two commands are `make search` and `make test`; both set up what they need first.

PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/default
BOARD ?= mps2-an386
BUDGET ?= 6m
SEARCH_FLAGS ?=
DATA ?= synthetic
PROFILE ?= quick
FIGURES ?= all
FIGURES_OUT ?= runs/experiments
FIGURES_FLAGS ?=
MINUTES ?= 10
PY := $(VENV)/bin/python
# Compiled training takes a third of the time; without a compiler TensorFlow trains.
TRAINER = $(shell command -v g++ >/dev/null && echo --trainer=native)

.PHONY: help setup search figures docs check test test-tools test-all fuzz fuzz-tools lint lock clean

help:
	@echo "make search    search, convert, build and verify on the embedded data (RUN=$(RUN), BUDGET=$(BUDGET), BOARD=$(BOARD))"
	@echo "make figures   the paper's figures and what it left open (DATA=$(DATA), PROFILE=$(PROFILE), FIGURES=$(FIGURES))"
	@echo "make docs      the documentation as a site that needs no network: site/index.html"
	@echo "make check     for every edit: lint, types and the fast tests, below two minutes"
	@echo "make test      the tests, without the slow ones"
	@echo "make test-all  all tests"
	@echo "make fuzz      whatever is read, the board's protocol and the C, by fuzzers (MINUTES=$(MINUTES)); runs/fuzz keeps what they find"
	@echo "make lint      ruff and mypy"
	@echo "make setup     only install: virtual environment in $(VENV), ARM tools by apt"
	@echo "make lock      renew requirements.lock from pyproject.toml"
	@echo "make clean     remove the virtual environment and site/; runs/ stays"

setup: $(VENV)/.installed
	@PYTHON="$(PY)" sh firmware/install_tools.sh || true
	@sh firmware/install_tools.sh --trainer || true

$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else "error: Python %d.%d found, 3.11 to 3.13 needed: make PYTHON=python3.12 ..." % v)'
	@sh firmware/install_tools.sh --python "$(PYTHON)"
	$(PYTHON) -m venv "$(VENV)"
	"$(PY)" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch "$@"

search: setup
	"$(PY)" -m search.evolve --input=loggrad_1p5 --out="$(RUN)" --resume --budget=$(BUDGET) $(TRAINER) $(SEARCH_FLAGS)
	"$(PY)" -m export.convert --run="$(RUN)"
	"$(PY)" -m export.firmware --model="$(RUN)/export/model.tflite" --board=$(BOARD) --out="$(RUN)/firmware" --replace
	@PYTHON="$(PY)" sh firmware/install_tools.sh --check
	"$(PY)" -m firmware.build --project="$(RUN)/firmware"
	"$(PY)" -m firmware.verify --project="$(RUN)/firmware"

figures: setup
	"$(PY)" -m experiments --figure=$(FIGURES) --data="$(DATA)" --profile=$(PROFILE) --out="$(FIGURES_OUT)" $(FIGURES_FLAGS)

# The variable leaves out what the theme's authors say of another program.
docs: setup
	NO_MKDOCS_2_WARNING=1 "$(PY)" -m mkdocs build --strict
	@echo "site/index.html: open it in a browser"

PYTEST := "$(PY)" -m pytest -q -n logical --dist=loadscope

check: lint
	$(PYTEST) -m "not slow and not seconds and not qemu"

# A debugger, a second compiler, a compiler cache and a browser are for tests only; they do without.
test-tools: setup
	@sh firmware/install_tools.sh --tests || true
	@sh firmware/install_tools.sh --browser || true

test: test-tools
	$(PYTEST) --durations=10 -m "not slow"

test-all: test-tools fuzz-tools
	$(PYTEST) --durations=10

# Of the extra "fuzz", without which the harnesses that need it are skipped.
fuzz-tools: setup
	@sh firmware/install_tools.sh --fuzz || true
	@"$(PY)" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzz"])' \
		| xargs "$(PY)" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
		|| echo "no Atheris for this Python: formats are not fuzzed"

fuzz: fuzz-tools
	"$(PY)" -m tests.fuzz --minutes=$(MINUTES)

lint: setup
	"$(PY)" -m ruff check .
	"$(PY)" -m ruff format --check .
	"$(PY)" -m mypy

lock:
	uv pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf "$(VENV)" site
