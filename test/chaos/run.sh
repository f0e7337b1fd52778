#!/bin/sh
# run.sh BUILD [ARGUMENT of chaos...] - one run in a directory of its own, which
# is kept if it fails.
set -u
build=$(realpath "$1") || exit
cd "$(dirname "$0")" || exit
shift
CHAOS_DIR=$(mktemp -d "${TMPDIR:-/tmp}/gfl-chaos.XXXXXX") || exit
export CHAOS_DIR
trap 'exit 1' HUP INT TERM
./chaos.sh "$build/test/chaos/chaos" --bin "$build/bin" "$@"
status=$?
[ $status != 0 ] || rm -rf "$CHAOS_DIR"
exit $status
