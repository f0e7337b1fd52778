#!/bin/sh
# torch_files.sh - our model files in PyTorch and back, for every preset: a
# record of how many tensors came back as they went, beside how many there are.
# Needs gfl-model in PATH.
set -eu
here=$(dirname "$0")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same=0 all=0

for model in softmax mlp cnn cifar10flnet resnet20; do
	file=$dir/$model.st
	gfl-model init "$model" --seed 3 --out "$file"
	"$here/torch_files.py" "$file" "$model"
	# PyTorch's counters are not ours
	n=$(gfl-model diff "$file" "$file.back" -o tsv -F tensor,differs |
		grep -v num_batches_tracked | grep -c "false$" || true)
	same=$((same + n))
	all=$((all + $(gfl-model info "$file" -o tsv | wc -l)))
	gfl-model average "$file.back" --out "$dir/mean.st"
done
printf 'torch_files\tgfl\t%d\n' "$same"
printf 'torch_files\ttorch\t%d\n' "$all"
