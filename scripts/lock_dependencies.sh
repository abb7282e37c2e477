#!/bin/sh
# Writes requirements*.lock: every package of requirements*.txt and what those need, for all systems
# and Pythons we run on, with the hashes of their files. All are chosen together, so that what runs
# is what is tested; each lock holds what the one before lacks.
# With --upgrade, what our packages need is taken in its newest version that fits.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-annotate \
        --custom-compile-command "make lock" "$@"
}

all="$(mktemp)"
trap 'rm -f "$all"' EXIT
cat requirements.lock requirements-dev.lock requirements-bench.lock 2>/dev/null >"$all" || true
compile "$@" requirements-bench.txt --output-file "$all"

held=""
for list in requirements requirements-dev requirements-bench; do
    # $held is a list of options.
    # shellcheck disable=SC2086
    compile --generate-hashes --constraint "$all" $held "$list.txt" --output-file "$list.lock"
    held="$held $(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' "$list.lock" | tr '\n' ' ')"
done
