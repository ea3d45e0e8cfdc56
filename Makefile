# Every task, one line each: `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test conformance check fmt clippy doc tidy bench up soak fuzz audit

# With CI=true the target folder lies outside the clone, so that the next run is warm.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(HOME)/.cache/millrace/target
endif
export CARGO_TERM_COLOR ?= auto
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Three at a time keep two cores busy: each test has services of its own, and waits for some of them.
TEST_THREADS ?= 3
MINUTES ?= 10
SECONDS ?= 60
# Test binaries outside integration-tests, by name: promises run last and by themselves.
INNER := $(sort $(filter-out promises,$(notdir $(basename $(wildcard */tests/*.rs */*/tests/*.rs)) \
  $(patsubst %/main.rs,%,$(wildcard */tests/*/main.rs */*/tests/*/main.rs)))))

help: ## List the tasks
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | while IFS='|' read -r name text; do \
	  printf '  %-11s %s\n' "$$name" "$$text"; done

# `demo` and `up` share one build, without TLS to Kafka: `cargo build --release -p millrace-cli` has it.
demo: ## Build, start everything, write lines and show them found; ONCE=1 stops after the table
	cargo build --profile demo --no-default-features -p millrace-cli
	$(TARGET)/demo/millrace demo $(if $(ONCE),--once) $(ARGS)

up: ## Build, then start everything on ./millrace-data; ARGS='--config FILE'
	cargo build --profile demo --no-default-features -p millrace-cli
	$(TARGET)/demo/millrace up $(ARGS)

# One set of packages and features in every line below (--workspace): nothing is compiled twice.
test: ## Run all tests: cores first, the promises against a real Kafka last; TEST_THREADS=3
	cargo build --workspace --bins --tests --examples
	cargo test --workspace --lib --bins $(addprefix --test ,$(INNER)) --no-fail-fast
	cargo test --workspace --test promises -- --test-threads=$(TEST_THREADS)

# Exit code of the program: 0 at the floors, 1 below, 2 no corpora. Make itself ends with 2 for either of the latter.
conformance: ## Run other people's requests, files and lines through gateway, forwarder and parser; CORPORA=<dir> TOPIC=t
	cargo build --workspace --bins --tests --examples
	@CORPORA='$(or $(CORPORA),../shared/data)' TOPIC='$(TOPIC)' OUT=target/conformance $(TARGET)/debug/examples/conformance

check: fmt clippy doc tidy ## Check form, lints, docs, dependency edges, licences and texts

fmt: ## Check the form of the code
	cargo fmt --all --check

clippy: ## Lint everything, warnings are errors
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## Build the API docs, warnings are errors
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps

# Licences, bans and sources are tested here, over `cargo metadata`: cargo-deny says the same, but compiling it takes
# longer than all other checks together. It runs in `make audit`.
tidy: ## Check edges between crates, licences, sources, texts, docs, configurations, compose file
	cargo build --workspace --bins --tests --examples
	cargo test --workspace --test tidy

bench: ## Measure against the targets; ONLY=name,… STRICT=1; writes target/bench.json
	cargo build --release --no-default-features --features onig -p millrace-cli
	$(TARGET)/release/millrace bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: ## The kill tests for longer; MINUTES=10 SEED=n
	cargo build --workspace --bins --tests --examples
	MINUTES=$(MINUTES) SEED=$(SEED) cargo test --workspace --test promises -- --test-threads=1 --nocapture kill

# Targets and what they start from are in fuzz/; what they find stays in fuzz/corpus and fuzz/artifacts. No sanitizer: the code
# under test has no `unsafe`, and librdkafka's configure cannot link a zstd that was built with one.
fuzz: ## Feed whatever finds new ways to what reads strangers' bytes; ONLY=target SECONDS=60 each (nightly, cargo-fuzz)
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { echo 'make fuzz takes a nightly compiler and cargo-fuzz:' \
	  '`rustup toolchain install nightly` and `cargo install --locked cargo-fuzz`' >&2; exit 2; }
	for target in $(or $(ONLY),$(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))); do \
	  mkdir -p fuzz/corpus/$$target; \
	  cargo +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(SECONDS) -max_len=65536; \
	done

audit: ## Known vulnerabilities, licences, bans, sources, by cargo-deny (needs a network, compiles it once)
	test -x $(TARGET)/tools/bin/cargo-deny || cargo install --locked --root $(TARGET)/tools cargo-deny
	$(TARGET)/tools/bin/cargo-deny check
