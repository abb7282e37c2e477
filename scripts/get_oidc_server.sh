#!/bin/sh
# Puts the OpenID Connect server that the sign-in tests run against into .tools/oidc, once.
set -eu
cd "$(dirname "$0")/.."

# 8 is the last major version that runs on Node 20.19 and newer.
version=8.2.3
home=.tools/oidc
ready="$home/ready-$version"

if ! command -v npm >/dev/null || ! node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null; then
    echo "Node 20.19 or newer with npm is needed for the OpenID Connect server." >&2
    exit 1
fi
[ -e "$ready" ] && exit 0
mkdir -p .tools
work=$(mktemp -d .tools/getting-oidc.XXXXXX)
trap 'rm -rf "$work"' EXIT
# Scripts of packages are not run: this server needs none.
npm install --prefix "$work" --no-audit --no-fund --ignore-scripts --loglevel=error \
    "oauth2-mock-server@$version" >&2
touch "$work/ready-$version"
# Moved into place whole, so that two who fetch it at once do not meet.
[ -e "$ready" ] && exit 0
rm -rf "$home"
mv "$work" "$home"
