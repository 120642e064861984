# The commands of this project, the same for people and CI. `make` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := .stamps
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
# pip and maturin work inside the environment without its activation.
export VIRTUAL_ENV := $(abspath $(VENV))

# The benchmarks' reference is a workspace of its own, built beside its sources.
FLOOR := cd benches/floor && CARGO_TARGET_DIR=target cargo

FUZZ_TARGETS := $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600

RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)

.DEFAULT_GOAL := help
.PHONY: help build demo test test-rust test-python test-wheel dropin peers conformance storm large soak lint format bench bench-page fuzz sanitize miri deny wheel docs clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

$(STAMPS)/venv: pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "dimsefast needs CPython 3.11 or newer, this is " + sys.version'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet 'maturin>=1.9,<2' --group test --group lint
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: $(STAMPS)/venv $(RUST_SOURCES) pyproject.toml
	$(BIN)/maturin develop --release --quiet --locked >$(STAMPS)/build.log 2>&1 || { cat $(STAMPS)/build.log; exit 1; }
	@touch $@

build: $(STAMPS)/build ## build the extension module into .venv

demo: build ## store, find, move and get real files, and check what came back
	$(BIN)/python examples/demo.py

test: test-rust test-python ## set up and run every test, Rust and Python

test-rust: $(STAMPS)/venv
	cargo test --workspace --exclude dimsefast-python --locked --quiet

test-python: build
	$(BIN)/python tools/run_tests.py

dropin: build ## run pynetdicom's own test suite against dimsefast, and compare with what is expected
	$(BIN)/python -m pip install --quiet --group peers
	$(BIN)/python tests/dropin/run.py

peers: $(STAMPS)/venv ## install the real peers: DCMTK, Orthanc, pynetdicom, haproxy
	sh tools/peers.sh $(BIN)/python

conformance: build peers ## the conformance cases against ourselves and the real peers, into docs/conformance-results.md
	@mkdir -p docs
	$(BIN)/python -m tests.conformance.peers docs/conformance-results.md

storm: build ## thousands of idle, silent, slow and short-lived peers, with figures
	$(BIN)/python -m tests.endurance.storm

large: build ## objects of more than 4 GiB, sent, kept and retrieved; needs 5 GB of disk
	$(BIN)/python -m tests.endurance.large

soak: build ## full load for SOAK_SECONDS without growth
	$(BIN)/python -m tests.endurance.soak --seconds $(SOAK_SECONDS)

lint: build ## rustfmt, clippy, ruff, mypy, pyright
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	$(FLOOR) fmt --check
	$(FLOOR) clippy --all-targets --locked --quiet -- -D warnings
	sh tools/check_purity.sh
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy --platform win32
	$(BIN)/pyright --project pyproject.toml
	$(BIN)/python -m mypy.stubtest dimsefast._core
	$(BIN)/zizmor --offline --quiet .github/workflows
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: $(STAMPS)/venv ## rustfmt and ruff, applied
	cargo fmt --all
	$(FLOOR) fmt
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: build ## measure beside the peers, in one run; WIRE="--quick --only pair" and the like are options of wire.py
	$(BIN)/python -m pip install --quiet --group peers
	$(BIN)/python -m pytest benches -o testpaths=benches -o pythonpath=benches --benchmark-columns=median,min,max,rounds --benchmark-disable-gc -q -p no:cacheprovider -o timeout=600
	$(FLOOR) build --release --locked --quiet
	$(BIN)/python benches/wire.py $(WIRE)

bench-page: build ## write docs/benchmarks.md and its drawings from the newest results
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python benches/plot.py

# cargo-fuzz wants flags of the nightly compiler, which the stable one takes with RUSTC_BOOTSTRAP.
fuzz: ## run each fuzz target for a minute; FUZZ_SECONDS=1200 for longer
	command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
	for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/found/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target fuzz/found/$$target fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 || exit 1; \
	done

# The sanitizers are for the nightly compiler, too.
SANITIZED := -p dimsefast-protocol -p dimsefast-identifier -p dimsefast-network

sanitize: ## the tests of the crates with unsafe code, and those they rest on, under the address sanitizer
	RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitize \
		cargo test --locked --quiet --target $$(rustc -vV | sed -n 's/^host: //p') $(SANITIZED)

miri: ## the crates without I/O under Miri; needs a nightly toolchain with the component
	cargo +nightly miri test --locked --quiet -p dimsefast-protocol -p dimsefast-identifier

deny: ## licences and sources of the dependencies
	command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	cargo deny --locked check licenses bans sources

# zig links against the glibc that the manylinux tag names. On other systems the wheel is for this machine.
wheel: $(STAMPS)/venv ## build a wheel and a source distribution into dist/, and check their tags
	$(BIN)/python -m pip install --quiet --group wheel
	rm -rf dist
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/maturin build --release --locked --strip --out dist \
		$(if $(filter Linux,$(shell uname -s)),--zig --compatibility manylinux_2_17 --target $(shell uname -m)-unknown-linux-gnu)
	$(BIN)/maturin sdist --out dist
	$(if $(filter Linux,$(shell uname -s)),$(BIN)/auditwheel show dist/*.whl | grep -A1 'consistent with')
	$(BIN)/abi3audit --strict dist/*.whl

test-wheel: ## run the Python tests, or TESTS, against the wheel in dist/, in an environment of its own
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/wheel/bin/python -m pip install --quiet --only-binary dimsefast --no-index --no-deps --find-links dist dimsefast
	build/wheel/bin/python -m pip install --quiet dimsefast --group test
	env -u VIRTUAL_ENV build/wheel/bin/python $(if $(TESTS),-m pytest -p no:cacheprovider $(TESTS),tools/run_tests.py)

docs: build ## build the documentation site into build/docs, without warnings
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python -m sphinx -W --keep-going -q -E docs build/docs

clean: ## remove what was built
	rm -rf $(VENV) $(STAMPS) target benches/floor/target fuzz/target fuzz/found dist build
