#!/bin/sh
# train.sh - images that one thread trains on in a CPU-second, beside PyTorch,
# and whether it loads our model files. Prints records.
#
#	train.sh TRAIN_BENCH SECONDS
#	train.sh TRAIN_BENCH accuracy     test accuracy after 5 epochs instead
#
# Debian's OpenBLAS takes many processors for a Prescott; PyTorch is at its best
# with the variable, as "torch" here, and "torch-default" is without it.
set -eu
data=/usr/share/datasets/fashion-mnist
torch=$(dirname "$0")/torch_train.py
export OMP_NUM_THREADS=1

"$1" "$data" "$2"
OPENBLAS_CORETYPE=SkylakeX "$torch" "$data" "$2"
[ "$2" = accuracy ] && exit
"$torch" "$data" "$2"
"$1" "$data" together
"$1" "$data" start
OPENBLAS_CORETYPE=SkylakeX "$torch" "$data" start
"$(dirname "$0")/torch_files.sh"
