# `make demo` and `make test` need nothing but Python 3.11 or newer; everything goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Let Python write .pyc files: where that is off, every process that a test starts compiles all modules again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test test-quick faults faults-sample kubernetes simulate fuzz bench check audit format imports dist sbom clean lock

help:  ## What there is.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/installed  ## The main job on this machine: alerts, Slack, ServiceNow, all local.
	@$(BIN)/python -m versus_py demo

test: $(VENV)/installed  ## All tests but those of `make faults`. Servers that are not installed are skipped, but not in CI.
	$(BIN)/pytest -ra -n auto -m "not long"

test-quick: $(VENV)/installed  ## Of those, unit and integration tests that start no cluster.
	$(BIN)/pytest -ra -p no:schemathesis -n $$(($$(nproc) + 1)) -m "not long and not cluster" tests/unit tests/integration

faults: $(VENV)/installed  ## All faults under load (kills, cuts, stalls, failovers), and planted bugs; about an hour.
	$(BIN)/pytest -raP -n 2 tests/faults tests/simulation
	$(BIN)/pytest -ra -n 2 -m long tests/acceptance tests/integration

faults-sample: $(VENV)/installed  ## The part of them that CI runs; about three minutes.
	$(BIN)/pytest -raP -n 2 -m sample tests/faults

kubernetes: $(VENV)/installed  ## The Helm chart at a real API server; needs kubectl, and builds the server once, in ten minutes.
	$(BIN)/python tests/support/go_tools.py helm etcd kube-apiserver
	$(BIN)/pytest -ra tests/kubernetes

simulate: SEEDS ?= 300
simulate: FIRST ?=
simulate: $(VENV)/installed  ## Replicas, Redis, Slack and ServiceNow in virtual time, with fresh seeds; SEEDS=5000 for a night.
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) $(if $(FIRST),--first $(FIRST))

fuzz: FUZZ_SEED ?= $(shell date +%s)
fuzz: FUZZ_INPUTS ?= 100000
fuzz: $(VENV)/installed  ## Bad input, a hundred thousand of them, for some minutes; prints the seed to repeat it with.
	@echo "FUZZ_SEED=$(FUZZ_SEED) FUZZ_INPUTS=$(FUZZ_INPUTS)"
	FUZZ_SEED=$(FUZZ_SEED) FUZZ_INPUTS=$(FUZZ_INPUTS) $(BIN)/pytest -n auto --timeout=1200 tests/fuzz

bench: $(VENV)/installed  ## How fast, small and punctual it is, into BENCHMARKS.md; three minutes, FULL=1 for 25. Needs an idle machine.
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

check: $(VENV)/installed  ## Format, lint, types and known vulnerabilities.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(MAKE) --no-print-directory audit

audit: $(VENV)/installed  ## Known vulnerabilities of what constraints.txt names; fails on findings.
	@$(BIN)/python .ci/audit

format: $(VENV)/installed  ## Write what check would complain about.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/installed  ## Write down the versions that are installed.
	$(BIN)/pip freeze --exclude-editable > constraints.txt

imports: $(VENV)/installed  ## Which package imports which.
	@$(BIN)/python -m tests.support.imports

dist sbom: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist: $(VENV)/installed  ## The wheel and the source archive in dist/: the same bytes whenever they are made from one commit.
	@rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	@cd dist && sha256sum versus_py-* | tee SHA256SUMS

sbom: dist  ## What a release consists of: dist/sbom.json (CycloneDX), from a bare environment with the wheel in it.
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python dist/.bare
	@$(BIN)/uv pip install --quiet --python dist/.bare/bin/python -c constraints.txt "$$(echo dist/*.whl)[holidays]"
	@version=$$(dist/.bare/bin/versus --version | cut -d' ' -f2) && \
		sed "s/^dynamic = .*/version = \"$$version\"/" pyproject.toml > dist/.bare/pyproject.toml
	@$(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py environment --output-reproducible \
		--pyproject dist/.bare/pyproject.toml -o dist/sbom.json dist/.bare/bin/python
	@rm -rf dist/.bare
	@echo dist/sbom.json

clean:  ## Start over.
	rm -rf dist $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis test-evidence

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; \
	" + sys.executable + " is " + sys.version.split()[0] + ". Name another: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.11")'
	@printf 'Installing some 90 packages into $(VENV); that takes about a minute '
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' & pip=$$!; \
	trap 'kill $$pip; exit 130' INT TERM; \
	while kill -0 $$pip 2>/dev/null; do printf .; sleep 2; done; echo; wait $$pip
	@touch $@
