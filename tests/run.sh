#!/usr/bin/env bash
# Every check of this repository, cheapest first. Needs Debian with Rust; gets the rest by itself.
#
#   tests/run.sh          what every change must pass
#   tests/run.sh --long   the same, then each fuzz target for a minute and the fault bench in its long form (about half an
#                         hour), which ends with the table for docs/reliability.md
#
# SKIP_DENY=1 leaves out the check of the dependencies, whose tool takes minutes to compile the first time (it is kept in
# target/tools). It says so, and the CI does not.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

long=
case "${1-}" in
    "") ;;
    --long) long=1 ;;
    *) echo "usage: tests/run.sh [--long]" >&2; exit 2 ;;
esac

# SQLite and ring contain C; strace is what makes system calls fail in the fault bench; aiosmtpd is a mail server that
# others wrote, and brings the Python that reads what it was sent.
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v strace >/dev/null || missing+=(strace)
/usr/bin/python3 -c "import aiosmtpd" 2>/dev/null || missing+=(python3-aiosmtpd)
# The fuzzer's own library is C++.
[ -z "$long" ] || command -v c++ >/dev/null || missing+=(g++)
if [ "${#missing[@]}" -gt 0 ]; then
    step "Installing ${missing[*]}"
    sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
for tool in fmt clippy; do
    cargo "$tool" --version >/dev/null 2>&1 || rustup component add "${tool/fmt/rustfmt}"
done

step "cargo fmt"
cargo fmt --check

export PATH="$PWD/target/tools/bin:$PATH"
# What cargo lacks is compiled once and kept in target/tools.
tool() { # name, version
    if ! cargo "${1#cargo-}" --version >/dev/null 2>&1; then
        step "Installing $1 $2 into target/tools"
        cargo install --locked --version "$2" --root target/tools "$1"
    fi
}

skipped=
if [ -n "${SKIP_DENY-}" ]; then
    skipped="SKIPPED because of SKIP_DENY: the licences, bans and sources of the dependencies (cargo deny)"
    step "$skipped"
else
    tool cargo-deny 0.20.2
    step "cargo deny"
    cargo deny --locked --log-level warn check licenses bans sources
fi

step "cargo clippy"
cargo clippy --all-targets --locked -- -D warnings

# nextest shows slow and leaking tests, but compiling it takes longer than all of ours: without it, cargo runs them.
log=$(mktemp)
trap 'rm -f "$log" "$log.long"' EXIT
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

if [ "$result" -eq 0 ] && [ -n "$long" ]; then
    tool cargo-fuzz 0.13.2
    step "The fuzz targets, a minute each"
    tests/fuzz.sh 60 || result=$?
fi

# One at a time: what they measure is time and memory.
if [ "$result" -eq 0 ] && [ -n "$long" ]; then
    step "The fault bench, long form"
    figures=target/reliability/figures
    rm -f "$figures"
    if cargo nextest --version >/dev/null 2>&1; then
        TILLHOOK_LONG=1 cargo nextest run --locked --profile long faults:: 2>&1 | tee "$log.long" || result=$?
    else
        TILLHOOK_LONG=1 cargo test --locked --test tests -- --test-threads=1 faults:: 2>&1 | tee "$log.long" || result=$?
    fi
    cat "$log.long" >>"$log"
    printf '\n%s, %s cores, %s GiB of memory, Linux %s\n\n' "$(date -u +%F)" "$(nproc)" \
        "$(awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)"
    printf '| promise | test | figure |\n|---|---|---|\n'
    cat "$figures" || result=1
fi

step "Tests"
grep -E '^ *Summary |^test result:' "$log" || echo "The tests did not run to their end."
[ -z "$skipped" ] || echo "$skipped"
exit "$result"
