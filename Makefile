# Everything below runs in .venv, which is made when it is missing. A fresh machine needs git,
# Python >= 3.8 with its headers, make and g++ (or another C++17 compiler).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install -c constraints.txt
STAMPS := $(VENV)/.stamps

# What the extension is built from, and what the formatters look at.
CPP_DIRS := $(wildcard cpp cuda fuzz tests/cpp tests/cuda)
CPP_FILES := $(shell find $(CPP_DIRS) -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')
BUILD_INPUTS := pyproject.toml CMakeLists.txt $(filter cpp/% cuda/%,$(CPP_FILES)) \
                $(wildcard cuda/CMakeLists.txt)
PY_DIRS := $(wildcard src tests benchmarks examples scripts)
# The extra of an installed torch_ans; the bound keeps pip away from other releases of that name.
extra = "torch_ans[$(1)]>=1.0.0.dev0"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo demo-compressai demo-learned demo-torchac demo-bytes demo-vq test lint format \
        bench bench-full bench-compressai bench-checks bench-cuda sanitize-cuda core check-aarch64 sdist clean FORCE

help: ## list the targets
	@sed -n 's/^\([.a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([.a-z0-9-]*\):.*## /  make \1   /p' Makefile

# With nvcc on PATH the CUDA engine is built, here only for the GPUs of this machine or, without
# any, for one architecture. (A wheel has them all: see cuda/CMakeLists.txt.)
GPUS = $(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null \
          | tr -d '. ' | sort -un | paste -sd ';' -)
$(VENV)/.stamps/package core: export TORCH_ANS_CUDA_ARCHITECTURES ?= $(or $(GPUS),90)

# --- the environment ---------------------------------------------------------------------------
# A stamp is written when its step has finished, so an interrupted `make` goes on where it was.
# What is missing is found, and made, by a second make, under a lock of this file (where there is
# flock): a `make` that was started beside it waits, and then finds the environment complete.
LOCK := $(if $(shell command -v flock),flock -o Makefile)
ifndef HAS_LOCK
$(STAMPS)/%: FORCE
	@$(if $(LOCK),flock -n Makefile true || echo "make: waiting for another make here";) \
	  $(LOCK) $(MAKE) -s --no-print-directory HAS_LOCK=1 $@
else
# .venv/.installing exists while packages are being installed. Found here, it says that the last
# installation was cut short, perhaps in the middle of a package: then .venv is made anew.
INSTALLING := $(VENV)/.installing
guarded = touch $(INSTALLING) && { $(1) || { status=$$?; rm -f $(INSTALLING); exit $$status; }; } \
          && rm -f $(INSTALLING)
ifneq ($(wildcard $(INSTALLING)),)
$(STAMPS)/venv: FORCE
endif

$(STAMPS)/venv: constraints.txt
	@if test -e $(INSTALLING) || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "make: creating $(VENV) with $$($(PYTHON) --version)"; \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu install python3-venv" >&2; \
	    rm -rf $(VENV); exit 1; }; \
	fi
	@mkdir -p $(STAMPS)
	@echo "make: installing torch"
	@$(call guarded,$(PIP) install -q "pip>=23" && $(INSTALL) torch numpy)
	@touch $@

# Editable: Python files are used where they are; the extension is built once, here. The stamp is
# as old as the beginning of the build: a source that changes meanwhile is built again.
$(STAMPS)/package: $(STAMPS)/venv $(BUILD_INPUTS)
	@echo "make: building the extension (six minutes on two cores)"
	@touch $@.begun
	$(INSTALL) -v --no-deps -e . -C cmake.define.TORCH_ANS_NATIVE=ON
	@mv $@.begun $@

# What builds C++ outside pip: fuzzers, sanitizers.
$(STAMPS)/cmake: $(STAMPS)/venv
	@$(call guarded,$(INSTALL) cmake ninja "pybind11>=2.12")
	@touch $@

$(STAMPS)/%: $(STAMPS)/package
	@echo "make: installing what '$*' needs"
	@$(call guarded,$(INSTALL) $(call extra,$*))
	@touch $@
endif
FORCE:

.venv: $(STAMPS)/package
install: $(STAMPS)/package ## make .venv and build the package into it

# --- what users run ----------------------------------------------------------------------------
demo: $(STAMPS)/examples ## code a photograph without loss, to a file and back
	$(BIN)/python examples/lossless_photo.py $(DEMO_ARGS)

demo-compressai: $(STAMPS)/examples ## a CompressAI model before and after install()
	$(BIN)/python examples/compressai_hyperprior.py $(DEMO_ARGS)

demo-learned: $(STAMPS)/examples ## train a lossless codec for a minute, code a photograph and back
	$(BIN)/python examples/learned_lossless.py $(DEMO_ARGS)

demo-torchac: $(STAMPS)/examples ## torchac's auto-encoder with one import changed
	$(BIN)/python examples/torchac_autoencoder.py $(DEMO_ARGS)

demo-bytes: $(STAMPS)/examples ## files with tables that follow the bytes, beside gzip and zstd
	$(BIN)/python examples/byte_files.py $(DEMO_ARGS)

demo-vq: $(STAMPS)/examples ## an auto-encoder's categories, with tables that follow them
	$(BIN)/python examples/vq_autoencoder.py $(DEMO_ARGS)

# A file's tests run in one of TEST_JOBS processes; 0: in this one, as a debugger wants it.
TEST_JOBS ?= 2
PYTEST_ARGS = -q -n $(TEST_JOBS) --dist loadfile $(TEST_ARGS)

test: $(STAMPS)/test ## run the tests (TEST_ARGS="-k name" selects)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(STAMPS)/bench ## compare with the peers from PyPI, the main rows (BENCH_ARGS adds options)
	$(BIN)/python benchmarks/bench_cpu.py --quick $(BENCH_ARGS)

bench-full: $(STAMPS)/bench ## the same, every row and more turns
	$(BIN)/python benchmarks/bench_cpu.py --full $(BENCH_ARGS)

bench-compressai: $(STAMPS)/bench ## CompressAI with install() beside CompressAI as it is
	$(BIN)/python benchmarks/bench_compressai.py $(BENCH_ARGS)

bench-checks: $(STAMPS)/bench $(STAMPS)/cmake ## what the checks of input cost: a build with and one without
	$(BIN)/python benchmarks/bench_checks.py $(BENCH_ARGS)

bench-cuda: $(STAMPS)/bench ## measure on a GPU, beside torch-ans
	$(BIN)/python benchmarks/bench_cuda.py $(BENCH_ARGS)

# --- what developers run -----------------------------------------------------------------------
lint: $(STAMPS)/lint ## ruff, mypy, clang-format, codespell, layers
	$(BIN)/ruff check $(PY_DIRS)
	$(BIN)/ruff format --check $(PY_DIRS)
	$(BIN)/mypy --strict src
	$(if $(CPP_FILES),$(BIN)/clang-format --dry-run -Werror $(CPP_FILES))
	$(BIN)/codespell
	$(BIN)/python scripts/check_layers.py

format: $(STAMPS)/lint ## let the formatters rewrite the sources
	$(BIN)/ruff check --fix-only --exit-zero $(PY_DIRS)
	$(BIN)/ruff format $(PY_DIRS)
	$(if $(CPP_FILES),$(BIN)/clang-format -i $(CPP_FILES))

core: $(STAMPS)/venv ## rebuild the extension incrementally, warnings being errors
	@$(BIN)/python -c 'import scikit_build_core, pybind11' 2>/dev/null || \
	  $(LOCK) $(INSTALL) "scikit-build-core>=0.10" "pybind11>=2.12" ninja cmake
	@touch $(STAMPS)/package.begun
	$(LOCK) $(INSTALL) -v --no-deps --no-build-isolation -e . \
	  -C build-dir=build/core -C cmake.define.TORCH_ANS_WARNINGS=ON
	@mv $(STAMPS)/package.begun $(STAMPS)/package

check-aarch64: ## run the portable coder for aarch64 under emulation (Debian)
	scripts/check_aarch64.sh

SECONDS ?= 60
fuzz: $(STAMPS)/cmake ## attack the core with libFuzzer for SECONDS=60 (needs clang)
	$(BIN)/python scripts/fuzz.py --seconds $(SECONDS) $(FUZZ_ARGS)

tsan: $(STAMPS)/cmake ## many threads on one table object, under ThreadSanitizer (needs clang)
	$(BIN)/python scripts/fuzz.py --threads

sanitize: $(STAMPS)/cmake $(STAMPS)/test ## the tests under ASan and UBSan (TEST_ARGS selects)
	scripts/sanitize.sh $(BIN)/python $(PYTEST_ARGS)

wheels: ## manylinux wheels for pyenv's CPythons, checked (WHEEL_PYTHONS chooses)
	$(PYTHON) scripts/build_wheels.py $(WHEEL_PYTHONS)

test-wheels: ## test each of them in a clean environment (WHEEL_ARGS="--torch 1.12.1")
	$(PYTHON) scripts/test_wheels.py $(WHEEL_ARGS)

sanitize-cuda: $(STAMPS)/test ## run the GPU tests under compute-sanitizer
	scripts/sanitize_cuda.sh $(BIN)/python $(TEST_ARGS)

sdist: $(STAMPS)/venv ## write dist/torch_ans-*.tar.gz
	@$(BIN)/python -c 'import build.__main__' 2>/dev/null || $(LOCK) $(INSTALL) build
	$(BIN)/python -m build --sdist

clean: ## remove .venv, builds and caches
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis output
	find $(PY_DIRS) -name __pycache__ -type d -exec rm -rf {} +
