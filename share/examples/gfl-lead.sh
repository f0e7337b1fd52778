#!/bin/sh
# gfl-lead.sh - leads participants: each round they begin with the mean of what
# they have answered in the round before.
#
#   gfl-server --on-participants 'gfl-lead.sh MODEL.npz' --rounds 10
#
# MODEL.npz is where they begin, and has the newest mean after each round, by the
# names that its arrays had (which do not travel): a server that is started again
# goes on from there. Needs jq.
set -eu
model=$(realpath "$1")
cd "$GFL_DIR"
files=$(jq -r 'select(.state == "answered").file | split("/")[-1]')
# shellcheck disable=SC2086 # each is a number and .npz
[ -z "$files" ] || gfl-model average --names "$model" --out "$model" $files
cat "$model"
