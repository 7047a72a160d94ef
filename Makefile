# gitvirt: `make help` lists everything.
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
# Where an image sets it, every one of the hundreds of commands that tests start would compile gitvirt anew.
unexport PYTHONDONTWRITEBYTECODE
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.DEFAULT_GOAL := help
.PHONY: help run demo test test-unit setup check bench bench-cluster flame sim chaos fuzz corpus clean clean-vms host host-tests guest manual wheel

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: setup guest ## VMs from sample-repo/, running on this machine; Ctrl-C stops the daemon, not the VMs
	@$(SUDO) env GITVIRT_VENV=$(abspath $(VENV)) GITVIRT_CACHE="$${GITVIRT_CACHE:-$$HOME/.cache/gitvirt}" demo/run

demo: setup guest ## a scripted story on real VMs: drift, live changes, trash and revert; ends by itself
	@$(SUDO) env GITVIRT_CACHE="$${GITVIRT_CACHE:-$$HOME/.cache/gitvirt}" $(abspath $(BIN))/python -m demo.story

WORKERS ?= 2
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: setup guest host-tests ## install what tests need and run all of them, live ones included, in WORKERS=2 processes
	@$(SUDO) env GITVIRT_REQUIRE_LIVE=1 GITVIRT_CACHE="$${GITVIRT_CACHE:-$$HOME/.cache/gitvirt}" $(BIN)/python -m pytest $(PARALLEL)

test-unit: $(VENV)/.installed-dev ## the tests that need neither libvirt nor root
	@$(BIN)/python -m pytest $(PARALLEL) tests/unit tests/property tests/golden tests/simulation

check: $(VENV)/.installed-dev ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: setup guest ## how fast, each figure beside a bound measured in the same run; BENCH="load-100k" for some of them
	@$(SUDO) env GITVIRT_CACHE="$${GITVIRT_CACHE:-$$HOME/.cache/gitvirt}" $(BIN)/python -m bench $(BENCH)

bench-cluster: $(VENV)/.installed-dev ## the kubevirt engine on a real API server (etcd and kube-apiserver in KUBEBUILDER_ASSETS, kubectl on PATH)
	@$(BIN)/python -m bench cluster

flame: $(VENV)/.installed-dev ## a flame graph of FIGURE=cold, restart or change, at VMS=5000, in bench/results/
	@$(SUDO) $(BIN)/python -m bench.flame $(or $(FIGURE),cold) $(or $(VMS),5000)

SECONDS ?= 60
sim: $(VENV)/.installed-dev ## the real cycle over histories with faults, on all cores for SECONDS=60; SEED=3 FAULT=crash-after@9 repeats a run
	@$(BIN)/python -m tests.simulation --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(FAULT),--fault $(FAULT)) $(if $(EVERY),--every)

CHAOS_SECONDS = $(if $(filter command environment,$(firstword $(origin SECONDS))),$(SECONDS),300)
chaos: setup guest host-tests ## real processes killed and pools pulled while commits go on, for SECONDS=300; SEED=5 repeats its choices
	@$(SUDO) env GITVIRT_CACHE="$${GITVIRT_CACHE:-$$HOME/.cache/gitvirt}" $(BIN)/python -m tests.chaos --seconds $(CHAOS_SECONDS) $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/.installed-dev ## atheris over the whole way in, guided by coverage, for SECONDS=60
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[fuzz]'
	@$(BIN)/python -m tests.hostile.fuzz --seconds $(SECONDS)

corpus: $(VENV)/.installed-dev ## every hostile file of the corpus, the slow ones too
	@GITVIRT_CORPUS=full $(BIN)/python -m pytest tests/hostile

manual: $(VENV)/.installed-dev ## write docs/gitvirt.1 from the command line, and what editors use from the schemas
	@$(BIN)/python -m reconciler.cli.manual && $(BIN)/python -m schemas.bundle

wheel: $(VENV)/.installed-dev ## build dist/gitvirt-*.whl and try it in an empty virtual environment
	@deploy/wheel/build $(abspath $(BIN))/python dist && deploy/wheel/try dist

setup: host $(VENV)/.installed-dev ## system packages, libvirt, the virtual environment

host:
	@deploy/host/prepare

host-tests:
	@deploy/host/prepare --tests

guest: host
	@demo/guest/build "$${GITVIRT_CACHE:-$$HOME/.cache/gitvirt}/demo-guest.qcow2"

$(VENV)/.installed-dev: pyproject.toml
	@[ -x $(BIN)/python ] || { echo "==> making the virtual environment $(VENV)"; python3 -m venv $(VENV); }
	@echo "==> installing gitvirt and its Python packages (about a minute the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[libvirt,kubevirt,dev]'
	@touch $@

clean-vms: setup ## remove the VMs, networks, disks and trash that make run and make demo made
	@$(SUDO) $(abspath $(BIN))/python -m demo.clean

clean: ## remove what the build left in this directory
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info bench/results
