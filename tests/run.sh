#!/usr/bin/env bash
# Every check of this repository, cheapest first. Needs Debian with Rust; gets the rest by itself.
#
#   tests/run.sh          what every change must pass
#   tests/run.sh --long   the same, and the tests that take long (none so far)
#
# SKIP_DENY=1 leaves out the check of the dependencies, whose tool takes minutes to compile the first time (it is kept in
# target/tools). It says so, and the CI does not.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

case "${1-}" in
    "") ;;
    --long) step "--long: there are no long tests yet, so this is the usual run" ;;
    *) echo "usage: tests/run.sh [--long]" >&2; exit 2 ;;
esac

# SQLite and ring contain C.
if ! command -v cc >/dev/null; then
    step "No C compiler: installing gcc"
    sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -y -q --no-install-recommends gcc libc6-dev
fi
for tool in fmt clippy; do
    cargo "$tool" --version >/dev/null 2>&1 || rustup component add "${tool/fmt/rustfmt}"
done

step "cargo fmt"
cargo fmt --check

deny_version=0.20.2
skipped=
if [ -n "${SKIP_DENY-}" ]; then
    skipped="SKIPPED because of SKIP_DENY: the licences, bans and sources of the dependencies (cargo deny)"
    step "$skipped"
else
    export PATH="$PWD/target/tools/bin:$PATH"
    if ! cargo deny --version >/dev/null 2>&1; then
        step "Installing cargo-deny $deny_version into target/tools"
        cargo install --locked --version "$deny_version" --root target/tools cargo-deny
    fi
    step "cargo deny"
    cargo deny --locked --log-level warn check licenses bans sources
fi

step "cargo clippy"
cargo clippy --all-targets --locked -- -D warnings

# nextest shows slow and leaking tests, but compiling it takes longer than all of ours: without it, cargo runs them.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
result=0
if cargo nextest --version >/dev/null 2>&1; then
    step "cargo nextest"
    cargo nextest run --locked 2>&1 | tee "$log" || result=$?
else
    step "cargo test (cargo-nextest is not installed)"
    cargo test --locked --all-targets 2>&1 | tee "$log" || result=$?
fi

if [ "$result" -eq 0 ]; then
    step "Examples in the documentation"
    cargo test --doc --locked || result=$?
    step "cargo doc"
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked || result=$?
fi

step "Tests"
grep -E '^ *Summary |^test result:' "$log" || echo "The tests did not run to their end."
[ -z "$skipped" ] || echo "$skipped"
exit "$result"
