#!/bin/sh
# exec_awk.sh - a trainer of one's own in awk: softmax regression. gfl-model
# makes text of a model, a line for each tensor, and a model of text.
#
#	gfl-trainer --exec share/examples/exec_awk.sh --data mine.csv \
#		--test test.csv --node http://127.0.0.1:8901
#	gfl-run start --model exec --epochs 1 --lr 0.1 --hp classes=3
#
# Data are lines of numbers parted by commas, the label, from 0, last.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -n "${GFL_MODEL_IN-}" ]; then
	gfl-model convert "$GFL_MODEL_IN" --out "$work/in.tsv"
else
	: >"$work/in.tsv" # all is 0
fi

# The model, then the data; prints the new model.
awk -v op="$GFL_OP" -v seed="$GFL_SEED" -v classes="${GFL_HP_CLASSES:-10}" \
	-v steps="${GFL_STEPS-}" -v epochs="${GFL_EPOCHS:-0}" \
	-v batch="${GFL_BATCH:-1}" -v rate="${GFL_LR:-0}" \
	-v result="$work/result" '
	BEGIN { FS = "\t"; OFMT = CONVFMT = "%.9g"; srand(seed) }
	part == "" { # of the model: name, shape, values
		split($2, shape, "x")
		n = split($3, v, " ")
		for (i = 1; i <= n; i++)
			if ($1 == "bias") b[i] = v[i]
			else w[int((i - 1) / shape[2]) + 1, (i - 1) % shape[2] + 1] = v[i]
		next
	}
	{
		width = split($0, v, ",") - 1
		label[++examples] = v[width + 1] + 1
		for (j = 1; j <= width; j++) x[examples, j] = v[j]
	}
	# p: how likely each class is for example e; the likeliest is returned
	function forward(e,   c, j, z, top, sum, best) {
		for (c = 1; c <= classes; c++) {
			z = b[c] + 0
			for (j = 1; j <= width; j++) z += w[c, j] * x[e, j]
			p[c] = z
			if (c == 1 || z > top) { top = z; best = c }
		}
		for (c = 1; c <= classes; c++) sum += p[c] = exp(p[c] - top)
		for (c = 1; c <= classes; c++) p[c] /= sum
		return best
	}
	function step(   n, e, c, j, d) {
		for (n = 0; n < batch; n++) {
			e = int(rand() * examples) + 1
			forward(e)
			loss -= log(p[label[e]] + 1e-12)
			seen++
			for (c = 1; c <= classes; c++) {
				d = rate / batch * (p[c] - (c == label[e]))
				b[c] -= d
				for (j = 1; j <= width; j++) w[c, j] -= d * x[e, j]
			}
		}
	}
	function row(name, shape, rows, columns,   r, c) {
		printf "%s\t%s\t", name, shape
		for (r = 1; r <= rows; r++)
			for (c = 1; c <= columns; c++)
				printf("%s%.9g", (r * c > 1 ? " " : ""), \
					(name == "bias" ? b[c] : w[r, c]))
		print ""
	}
	END {
		if (op == "eval") {
			for (e = 1; e <= examples; e++) right += forward(e) == label[e]
			metrics = "\"accuracy\":" right / examples
		} else {
			if (epochs > 0) steps = epochs * int((examples + batch - 1) / batch)
			for (s = 0; s < steps; s++) step()
			if (seen) metrics = "\"loss\":" loss / seen
			row("weight", classes "x" width, classes, width)
			row("bias", classes "", 1, classes)
		}
		printf "{\"type\":\"result\",\"num_examples\":%d,\"metrics\":{%s}}\n", \
			examples, metrics >result
	}' "$work/in.tsv" part=data - <"$GFL_DATA" >"$work/out.tsv"

[ "$GFL_OP" = eval ] ||
	gfl-model convert "$work/out.tsv" --out "$GFL_MODEL_OUT"
cat "$work/result"
