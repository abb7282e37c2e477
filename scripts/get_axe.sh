#!/bin/sh
# Puts axe-core, which finds what keeps people from using a page, into .tools/ and prints its path.
# For tests only. It comes from the npm registry, pinned and checked; nothing of the package is run
# while it is fetched.
set -eu
cd "$(dirname "$0")/.."

VERSION="4.10.3"
SHA256="880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb"
SCRIPT="$PWD/.tools/axe-$VERSION.min.js"

is_right() { echo "$SHA256  $1" | sha256sum --check --status 2>/dev/null; }

if is_right "$SCRIPT"; then
    echo "$SCRIPT"
    exit 0
fi
if ! command -v npm >/dev/null; then
    echo "npm, which fetches axe-core, is not installed." >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent --ignore-scripts "axe-core@$VERSION" >/dev/null && tar xzf ./*.tgz)
if ! is_right "$work/package/axe.min.js"; then
    echo "axe-core $VERSION does not hold the script that it held when it was pinned." >&2
    exit 1
fi
mkdir -p .tools
# Moved into place whole, so that two who fetch it at once do not meet.
install -m 644 "$work/package/axe.min.js" "$SCRIPT.$$"
mv "$SCRIPT.$$" "$SCRIPT"
echo "$SCRIPT"
