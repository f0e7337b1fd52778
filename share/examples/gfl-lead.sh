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
model=$(realpath "${1:?usage: gfl-lead.sh MODEL.npz}")
cd "${GFL_DIR:?gfl-server runs this, --on-participants}"
fit=
for file in $(jq -r 'select(.state == "answered").file | split("/")[-1]'); do
	gfl-model average --names "$model" --out fits.npz "$file" || continue
	fit="$fit $file" # others are in the server's log
done
# shellcheck disable=SC2086 # each is a number and .npz
[ -z "$fit" ] || gfl-model average --names "$model" --out "$model" $fit
cat "$model"
