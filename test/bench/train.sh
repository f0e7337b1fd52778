#!/bin/sh
# train.sh - training throughput of one thread beside PyTorch's, as a table.
#
#	train.sh TRAIN_BENCH [SECONDS]
#
# Needs Debian's dataset-fashion-mnist, python3-torch and, as PyTorch is slow by
# the reference BLAS, libopenblas0-pthread.
set -eu
data=/usr/share/datasets/fashion-mnist
seconds=${2:-2}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

"$1" "$data" "$seconds" >"$out"
torch="$(dirname "$0")/torch_mlp.py"
OMP_NUM_THREADS=1 OPENBLAS_CORETYPE=SkylakeX "$torch" "$data" "$seconds" \
	>>"$out"
OMP_NUM_THREADS=1 "$torch" "$data" "$seconds" >>"$out"

awk -F'\t' '
	{ got[$2 " " $3, $1] = $4 }
	$1 == "dnnl" { order[++n] = $2 " " $3 }
	END {
		printf "%-12s %12s %12s %14s %8s %8s\n", "model batch", "gfl",
		       "torch best", "torch default", "x best", "x dflt"
		for (i = 1; i <= n; i++) {
			k = order[i]
			ours = got[k, "dnnl"]; best = got[k, "torch"]
			dflt = got[k, "torch-default"]
			printf "%-12s %12d %12d %14d %8.2f %8.2f\n", k, ours,
			       best, dflt, ours / best, ours / dflt
		}
		printf "images per CPU-second; plain loops, mlp 50: %d\n",
		       got["mlp 50", "ref"]
		printf "test accuracy after 5 epochs, gfl and torch: "
		printf "softmax %s %s, mlp %s %s\n",
		       got["softmax 64", "accuracy"],
		       got["softmax 64", "torch-accuracy"],
		       got["mlp 64", "accuracy"],
		       got["mlp 64", "torch-accuracy"]
	}' "$out"
