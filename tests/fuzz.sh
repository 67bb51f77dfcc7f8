#!/usr/bin/env bash
# Runs every fuzz target for a while; fails at the first find and says where it is kept.
#
#   tests/fuzz.sh [SECONDS] [TARGET…]     60 seconds each, all of them, when nothing is said
#
# Needs cargo-fuzz (cargo install --locked cargo-fuzz) and a C++ compiler (apt-get install g++), and the usual Rust: the
# sanitizers, which need a nightly one, are left out, because there is no unsafe code of ours.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
case "$seconds" in
    "" | *[!0-9]*) echo "usage: tests/fuzz.sh [SECONDS] [TARGET…]" >&2; exit 2 ;;
esac
for tool in cargo-fuzz c++; do
    command -v "$tool" >/dev/null || { echo "tests/fuzz.sh needs $tool; its head says how to get it" >&2; exit 1; }
done
if [ $# -eq 0 ]; then
    set -- $(cd fuzz/fuzz_targets && ls *.rs | sed 's/\.rs$//')
fi

export RUSTC_BOOTSTRAP=1
cargo fuzz build -s none
for target in "$@"; do
    # What opens a document within a document needs room: a stack once overflowed by 15 KB.
    case "$target" in
        json | body | verification) longest=32768 ;;
        *) longest=4096 ;;
    esac
    printf '\n== %s, %s s\n' "$target" "$seconds"
    # What is found on the way goes to a directory of its own, so that the committed seeds stay few.
    mkdir -p "fuzz/found/$target"
    cargo fuzz run -s none "$target" "fuzz/found/$target" "fuzz/corpus/$target" -- \
        -dict=fuzz/dictionaries/json -max_total_time="$seconds" -max_len="$longest" -timeout=10 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1
done
