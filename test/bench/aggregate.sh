#!/bin/sh
# aggregate.sh - how fast a server aggregates, beside memcpy() and numpy. Prints
# records.
#
#	aggregate.sh BUILD SECONDS
set -eu
"$1/test/bench/aggregate_bench" "$2"
"$(dirname "$0")/aggregate_numpy.py" "$2"
