#!/bin/sh
# Makes .venv with the first Python that is new enough and whole, or says what is missing.
set -eu

if .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exit 0
fi

incomplete=""
for candidate in python3.13 python3.12 python3.11 python3; do
    # Run, not only looked up: version managers leave names that lead nowhere.
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "Making .venv with $("$candidate" --version)."
        exec "$candidate" -m venv --clear .venv
    fi
    incomplete="$candidate"
done

if [ -n "$incomplete" ]; then
    version=$("$incomplete" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$incomplete lacks the parts that make a virtual environment." >&2
    echo "On Debian or Ubuntu install them with: apt install python$version-venv" >&2
else
    echo "Python 3.11 or newer is needed, and none was found. See https://www.python.org/downloads/" >&2
fi
exit 1
