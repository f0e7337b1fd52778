#!/bin/sh
# install.sh DIR - into DIR the clients of others, as the lock file pins them.
# Says nothing, and needs no network, when they are there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
cmp -s "$here/package-lock.json" node_modules/.installed && exit 0
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" .
npm ci --loglevel=error >&2
cp package-lock.json node_modules/.installed
