# Every target takes extra arguments: make pretrain-compress ARGS="--trainer.max_steps 20"
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

# On a CPU glibc's malloc fragments under the tensors of a training run: where tcmalloc is installed, a run takes less
# memory and does not slow down as it goes (apt install libtcmalloc-minimal4).
TCMALLOC := $(shell ldconfig -p 2>/dev/null | awk '/libtcmalloc_minimal\.so/ {print $$NF; exit}')
LLM2COMP = $(if $(TCMALLOC),LD_PRELOAD=$(TCMALLOC) )$(BIN)/llm2comp

.DEFAULT_GOAL := help
.PHONY: help setup pretrain-compress pretrain-mntp finetune-contrastive evaluate ablate dashboard benchmark test lint format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-22s %s\n", $$1, $$2}'
	@echo '  Every target takes ARGS="...", for instance make pretrain-compress ARGS="--trainer.max_steps 20"'

setup: $(VENV)/.ready ## Make the virtual environment; again only when dependencies change

# torch comes first and pinned: left to the resolver, it may bring gigabytes of CUDA to a machine without a GPU.
$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) not found; name one: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV): once, a few minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

pretrain-compress: setup ## Compression pretraining on the embedded model and text (minutes on a laptop)
	$(LLM2COMP) fit --config experiments/pretrain_compress.yaml $(ARGS)

pretrain-mntp: setup ## Masked next-token prediction, the first step of LLM2Vec, on the same model and text
	$(LLM2COMP) fit --config experiments/pretrain_mntp.yaml $(ARGS)

# The newest encoder that compression pretraining has written, or the bare embedded model.
NEWEST := $(shell ls -td lightning_logs/pretrain_compress/*/encoder 2>/dev/null | head -n 1)
ENCODER ?= $(or $(NEWEST),embedded:smollm2-135m)
DATA ?=

finetune-contrastive: setup ## Contrastive fine-tuning; ENCODER=path, DATA=pairs or triplets (without: unsupervised)
	@echo "Fine-tuning $(ENCODER)"
	@case "$(ENCODER)" in embedded:*) echo "warning: this is the bare language model; run make pretrain-compress first for a better start" >&2;; esac
	$(LLM2COMP) fit --config experiments/finetune_$(if $(DATA),supervised,unsupervised).yaml \
		--model.encoder "$(ENCODER)" $(if $(DATA),--data.train "$(DATA)") $(ARGS)

TASKS ?= quick

evaluate: setup ## MTEB scores of ENCODER on TASKS (quick, paper14, ..., or task names) beside the published ones
	$(LLM2COMP) evaluate --encoder "$(ENCODER)" --tasks $(TASKS) $(ARGS)

SWEEP ?= objective

ablate: setup ## Run a sweep of experiments/sweeps here, as many runs at once as there is room for; SWEEP=memory_tokens
	$(LLM2COMP) ablate $(SWEEP) $(ARGS)

dashboard: setup ## Write lightning_logs/dashboard.html, a page of all ablations that opens without a network
	$(LLM2COMP) dashboard $(ARGS)

benchmark: setup ## Measure speed and memory against what one would use instead (half an hour on a quiet laptop)
	$(BIN)/python -m benchmarks $(ARGS)

test: setup ## Run the tests
	$(BIN)/python -m pytest -n auto $(ARGS)

lint: setup ## Check style and types
	$(BIN)/ruff check src tests benchmarks $(ARGS)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

format: setup ## Format the code
	$(BIN)/ruff check --fix src tests benchmarks
	$(BIN)/ruff format src tests benchmarks

clean: ## Remove the virtual environment and caches; runs in lightning_logs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
