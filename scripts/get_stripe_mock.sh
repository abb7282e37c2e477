#!/bin/sh
# Puts stripe-mock, which checks requests against Stripe's own API description, into .tools/ and
# prints its path. For tests only. Built from its Go module, pinned; Go checks its checksum.
set -eu
cd "$(dirname "$0")/.."

MODULE="github.com/stripe/stripe-mock"
VERSION="v0.203.0"
FOLDER="$PWD/.tools/stripe-mock-$VERSION"
PROGRAM="$FOLDER/stripe-mock"

if [ -x "$PROGRAM" ]; then
    echo "$PROGRAM"
    exit 0
fi
if ! command -v go >/dev/null; then
    echo "Go, which builds stripe-mock, is not installed." >&2
    exit 1
fi
mkdir -p "$FOLDER"
work=$(mktemp -d "$FOLDER/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
GOBIN="$work" GOFLAGS="-buildvcs=false" go install "$MODULE@$VERSION" >&2
# Moved into place whole, so that two who build it at once do not meet.
mv "$work/stripe-mock" "$PROGRAM"
echo "$PROGRAM"
