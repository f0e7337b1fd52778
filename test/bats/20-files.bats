# gfl-data and gfl-model: files in, files out, no network.

setup() {
	cd "$BATS_TEST_TMPDIR"
	export HOME=$PWD XDG_CONFIG_HOME=$PWD/none XDG_CACHE_HOME=$PWD/cache
	images=t-images-idx3-ubyte labels=t-labels-idx1-ubyte
	# 40 images of 2 x 2, and labels 0 to 3 in turn
	{
		printf '\0\0\x8\x3\0\0\0\x28\0\0\0\x2\0\0\0\x2'
		for i in {1..40}; do printf '\x1\x2\xfe\xff'; done
	} >$images
	{
		printf '\0\0\x8\x1\0\0\0\x28'
		for i in {1..10}; do printf '\0\x1\x2\x3'; done
	} >$labels
}

# The last command wrote nothing on stdout and one sentence that has $2, and
# exited with $1.
failed() {
	local lines
	mapfile -t lines <err
	[ "$status" = "$1" ] && [ ! -s out ] && [ ${#lines[@]} -le 2 ] &&
		[[ ${lines[*]} == *"$2"* ]]
}

try() {
	status=0
	"$@" >out 2>err || status=$?
}

@test "gfl-data info tells size, shape and labels" {
	run gfl-data info --data $images
	[ "$output" = $images$'\tidx\t40\t1x2x2\t10\t[10,10,10,10,0,0,0,0,0,0]' ]
	gzip $images $labels
	gfl-data info --data $images.gz --classes 0 -o json |
		jq -e '.[0] | .classes == 4 and .labels == [10,10,10,10]'
}

@test "gfl-data split gives each example to one part" {
	gfl-data split --data $images --parts 3 --by dirichlet:1 --out parts >out
	[ "$(wc -l <out)" = 3 ]
	[ "$(cat parts/part-?.idx | grep -v '#' | sort -n)" = "$(seq 0 39)" ]
	[ "$(ls parts)" = $'part-1.idx\npart-2.idx\npart-3.idx' ]
	n=$(cut -f 3 out | head -1)
	gfl-data info --data $images --index parts/part-1.idx -o jsonl |
		jq -e ".examples == $n"
}

@test "gfl-data split with the same seed divides the same way" {
	for to in a b; do
		gfl-data split --data $images -n 4 --seed 5 --out $to >/dev/null
	done
	gfl-data split --data $images -n 4 --seed 6 --out c >/dev/null
	diff -r a b
	[ -n "$(diff -r a c)" ]
}

@test "a malformed data set exits 2, names file and byte, writes nothing" {
	split="gfl-data split --data $images --parts 2 --out parts"
	printf '\x9' | dd of=$labels bs=1 seek=12 conv=notrunc status=none
	try $split --classes 4
	failed 2 "$labels at byte 12: label 9, expected 0 to 3"
	truncate -s 30 $labels
	try $split
	failed 2 "$labels ends at byte 30, expected 48 bytes"
	printf '\0\0\x8\x1\0\0\0\x1\0' >$labels
	try $split
	failed 2 "$labels at byte 4: 1 labels, expected 40"
	printf 'hello' >$images
	try $split
	failed 2 "$images at byte 0: magic 68656c6c"
	rm $images
	try $split
	failed 1 "open $images: No such file or directory"
	[ ! -e parts ]
}

@test "a damaged gzip exits 2 and is not kept" {
	gzip $images $labels
	size=$(stat -c %s $images.gz)
	truncate -s $((size - 5)) $images.gz
	try gfl-data info --data $images.gz
	failed 2 "$images.gz ends early, expected gzip's checksum"
	[ -z "$(ls cache/gfl)" ]
}

@test "gfl-data refuses what it cannot divide or find" {
	try gfl-data split --data $images --parts 2 --by size --out parts
	failed 2 '"size" is no way to divide'
	try gfl-data split --data $images --parts 41 --out parts
	failed 2 "41 parts of 40 examples"
	try gfl-data split --data $images --parts 2 --out no/such/parts
	failed 1 "no/such/parts: No such file"
	seq 38 41 >mine.idx
	try gfl-data info --data $images --index mine.idx
	failed 2 'mine.idx line 3: "40", expected a number from 0 to 39'
	[ ! -e parts ]
}

@test "gfl-data does without oneDNN" {
	ldd "$(command -v gfl-data)" >libs
	[ "$(grep -cE 'dnnl|gomp' libs)" = 0 ]
}

@test "gfl-model makes, shows, compares and averages models" {
	for s in 1 2; do
		gfl-model init "input 4; dense 4" --seed $s --out $s.st
	done
	gfl-model average 1.st 2.st --out mean.st
	[ "$(gfl-model info 1.st mean.st -F tensor,shape)" = "$(
		printf '%s\t%s\n' fc1.weight 4x4 fc1.bias 4 fc1.weight 4x4 \
			fc1.bias 4)" ]
	gfl-model diff 1.st 1.st
	try gfl-model diff 1.st 2.st -F tensor,differs
	[ "$status" = 1 ]
	[ "$(cat out)" = $'fc1.weight\ttrue\nfc1.bias\ttrue' ]
	# the mean is as far from one as from the other
	for i in 1 2; do
		try gfl-model diff mean.st $i.st -F l2
		[ "$status" = 1 ]
		[ "$(wc -l <out)" = 2 ]
		mv out far-from-$i
	done
	paste far-from-1 far-from-2 |
		awk '{ d = $1 - $2; if (!$1 || d * d > 1e-10) exit 1 }'
	[ "$(gfl-model info mean.st --meta -F key,value)" = \
		$'model\tinput 4 1 1; dense 4\naveraged\t2' ]
	# and so are arrays of numpy
	gfl-model convert 1.st --out 1.npz
	gfl-model average 1.npz 2.st --out mean.npz
	gfl-model convert mean.npz --out same.st
	gfl-model diff mean.st same.st
}

@test "gfl-model finds the centre of models of which one is false" {
	for s in 1 2 3 4; do
		gfl-model init "input 4; dense 4" --seed $s --out $s.st
	done
	/usr/bin/python3 -c 'import numpy
numpy.save("wild.npy", numpy.full(20, 1e6, "float32"))'
	gfl-model convert wild.npy --model "input 4; dense 4" --out wild.st
	gfl-model average [1-4].st wild.st --out mean.st
	[ "$(gfl-model info mean.st -F max | sort -g | head -n 1 |
		cut -d. -f1)" -ge 200000 ]
	for rule in median trimmed krum multikrum; do
		gfl-model average wild.st [1-4].st --rule $rule --out $rule.st
		gfl-model info $rule.st -F min,max |
			awk '$1 < -0.5 || $2 > 0.5 { exit 1 }'
	done
	[ "$(gfl-model info multikrum.st --meta -F key,value)" = \
		$'model\tinput 4 1 1; dense 4\naveraged\t5\nrule\tmultikrum\nchosen\t'"$(
			gfl-model info multikrum.st --meta -F value | tail -n 1)" ]
	[[ $(gfl-model info multikrum.st --meta -F value | tail -n 1 |
		tr , '\n' | sort | tr '\n' ' ') == '2 3 4 5 ' ]]
	# of three and one, of which two are alike, the median is one of these
	gfl-model average 1.st 1.st wild.st --rule median --out same.st
	gfl-model diff same.st 1.st
	try gfl-model average 1.st 2.st --rule krum --out few.st
	failed 5 'krum: 2 updates, needs 5'
	gfl-model init "input 4; dense 3" --out m3.st
	try gfl-model average 1.st m3.st --rule median --out few.st
	failed 2 'm3.st has no tensor "fc1.weight" of the shape that 1.st has'
	[ ! -e few.st ]
}

@test "gfl-model eval scores models on a data set" {
	gfl-model init "input 4; dense 4" --out m.st
	gfl-model eval m.st --data $images -o jsonl |
		jq -e '.examples == 40 and .accuracy == 0.25 and .loss > 1'
	try gfl-model eval m.st --data $images --model mlp
	failed 2 'm.st, tensor "fc1.weight": 4x4 of F32, expected 128x784 of'
	gfl-model init "input 4; dense 3" --out m3.st
	try gfl-model eval m3.st --data $images
	failed 2 "$labels at byte 11: label 3, expected 0 to 2"
}

@test "gfl-model refuses damaged files and unknown models" {
	gfl-model init mlp --out m.st
	[ "$(stat -c %a m.st)" = "$(printf %o $((0666 & ~$(umask))))" ]
	cp m.st short.st
	truncate -s -1 short.st
	try gfl-model info short.st
	failed 2 'short.st at byte 8 (header), tensor "fc2.bias": ends at byte'
	try gfl-model average m.st short.st --out mean.st
	failed 2 "short.st at byte 8"
	[ ! -e mean.st ]
	try gfl-model info none.st
	failed 1 "open none.st: No such file"
	try gfl-model info $images
	failed 2 "$images at byte 0: a header of"
	try gfl-model init mpl --out x.st
	failed 2 'no preset and no layer is called "mpl" (presets: softmax, mlp,'
	[ ! -e x.st ]
}

@test "every command of gfl-model takes every kind of file" {
	text="input 4; dense 4"
	gfl-model init "$text" --out a.st
	gfl-model init "$text" --seed 2 --out b.st
	for kind in npz npy tsv safetensors; do
		gfl-model init "$text" --out a.$kind
		gfl-model convert b.st --out b.$kind
		tensors=2 same=a.$kind
		if [ $kind = npy ]; then # one vector: which tensors, --model says
			tensors=1
			gfl-model convert a.npy --model "$text" --out same.st
			same=same.st
		fi
		[ "$(gfl-model info a.$kind | wc -l)" = $tensors ]
		gfl-model diff a.st $same
		try gfl-model diff a.$kind b.$kind
		[ "$status" = 1 ] && [ "$(wc -l <out)" = $tensors ]
		gfl-model average a.$kind b.$kind --out mean.$kind
		gfl-model average a.$kind b.$kind --rule median --out mean.$kind
		gfl-model sparsify b.$kind --keep 0.5 --base a.$kind \
			--out few.$kind >few
		[ "$(cut -f 1-3 few)" = "few.$kind"$'\t20\t10' ]
		gfl-model eval b.$kind --model "$text" --data $images >score
		[ "$(cut -f 2- score)" = \
			"$(gfl-model eval b.st --data $images | cut -f 2-)" ]
	done
	try gfl-model eval a.npz --data $images
	failed 2 'a.npz does not say which model it is'
}

@test "gfl-model and gfl-data name what is wrong with a file" {
	gfl-model init "input 4; dense 4" --out m.st
	mkdir dir
	for kind in st npz npy tsv; do
		gfl-model convert m.st --out m.$kind
		head -c 50 m.$kind >short.$kind
		: >empty.$kind
		mkdir dir.$kind
		for file in none:1 dir:2 empty:2 short:2; do
			want=${file#*:} file=${file%:*}.$kind
			for command in info "diff m.st" "diff $file" \
				"average --out o.st m.st" \
				"average --rule krum --out o.st" \
				"sparsify --keep 1 --out o.st" \
				"sparsify --keep 1 --out o.st m.st --base" \
				"convert --out o.st" "eval --data $images"; do
				echo "$command $file"
				# shellcheck disable=SC2086 # words of a command
				try gfl-model $command $file
				failed "$want" "$file"
			done
		done
	done
	for file in none.csv:1 none.npz:1 none.xyz:1 dir:1 dir.npz:2 \
		empty.npz:2 empty.npy:2 short.npz:2 m.st:2; do
		for command in info "split -n 2 --out parts"; do
			echo "$command $file"
			# shellcheck disable=SC2086
			try gfl-data $command --data "${file%:*}"
			failed "${file#*:}" "${file%:*}"
		done
	done
	[ ! -e o.st ] && [ ! -e parts ]
}

@test "gfl-model and gfl-data say why they cannot write" {
	gfl-model init "input 4; dense 4" --out m.st
	printf '1,0\n2,1\n' >t.csv
	mkdir dir
	ln -s /dev/full full
	while IFS='|' read -r to want why; do
		for command in "average m.st" "sparsify m.st --keep 1" \
			"convert m.st" "init softmax"; do
			echo "$command $to"
			# shellcheck disable=SC2086
			try gfl-model $command --out "$to"
			failed "$want" "$why"
		done
	done <<-'end'
		x.xyz|2|x.xyz ends as no model file does: .safetensors (or .st, or no ending), .npz, .npy, .tsv
		dir|7|dir: Is a directory
		none/x.st|1|none/x.st: No such file
		full|7|full: No space left on device
	end
	[ -L full ] && [ ! -e x.xyz ]
	try gfl-model pull http://127.0.0.1:1 --out m.npz
	failed 2 'm.npz is to be a safetensors file'
	try gfl-data split --data t.csv --label 2 --classes 0 -n 2 --out m.st
	failed 1 'm.st/part-1.idx: Not a directory'
	for command in "gfl-model info m.st" "gfl-model diff m.st m.st" \
		"gfl-model sparsify m.st --keep 1 --out o.st" \
		"gfl-model eval m.st --data $images" "gfl-model --help" \
		"gfl-data info --data $images" \
		"gfl-data split --data $images -n 2 --out parts"; do
		echo "$command"
		status=0
		$command >/dev/full 2>err || status=$?
		: >out
		failed 7 'write standard output: No space left on device'
		status=0
		$command >&- 2>err || status=$?
		failed 7 'write standard output: Bad file descriptor'
	done
}

@test "what may not be read or written exits 7, naming it" {
	bound=() # file modes bind root only without these powers
	if [ "$EUID" = 0 ]; then
		bound=(setpriv --bounding-set -dac_override,-dac_read_search)
	fi
	mkdir sealed
	chmod 0 $labels
	chmod 500 sealed
	try "${bound[@]}" gfl-model init mlp --out sealed/m
	failed 7 "sealed/m: Permission denied"
	try "${bound[@]}" gfl-data info --data $images
	failed 7 "$labels: Permission denied"
	chmod 600 $labels
	try "${bound[@]}" gfl-data split --data $images -n 2 --out sealed/parts
	failed 7 "sealed/parts: Permission denied"
	[ -z "$(ls sealed)" ]
}

@test "gfl-data takes CSV, LIBSVM and numpy's arrays" {
	printf 'a,b,kind\n1,2,0\n3,4,1\n' >t.csv
	printf '0 1:1 2:2\n1 1:3 2:4\n' >t.svm
	run gfl-data info --data t.csv --label kind --classes 0
	[ "$output" = $'t.csv\tcsv\t2\t2x1x1\t2\t[1,1]' ]
	run gfl-data info --data t.svm --classes 0
	[ "$output" = $'t.svm\tlibsvm\t2\t2x1x1\t2\t[1,1]' ]
	gfl-data split --data t.csv --label 3 -n 2 --out parts >out
	[ "$(cut -f 3 out)" = $'1\n1' ]
	try gfl-data info --data t.csv
	failed 2 't.csv line 1: no column "label" for the label among 3'
	try gfl-data info --data x.npy
	failed 1 'open x.npy: No such file'
	printf 'a,label\n1,0\n2,nan\n' >t.csv
	try gfl-data split --data t.csv -n 2 --out bad
	failed 2 't.csv line 3, column 2: "nan", expected a finite number'
	[ ! -e bad ]
}

@test "gfl-data split makes sizes log-normal" {
	gfl-data split --data $images -n 4 --by lognormal:1 --out parts >out
	[ "$(cat parts/part-?.idx | grep -v '#' | sort -n)" = "$(seq 0 39)" ]
	[ "$(cut -f 3 out | sort -u | wc -l)" -gt 1 ]
}

@test "gfl-model sparsify keeps the largest values, or changes" {
	gfl-model init "input 4; dense 5" --out a.st
	gfl-model init "input 4; dense 5" --seed 2 --out b.st
	gfl-model sparsify a.st --keep 0.2 --out s.st -o jsonl |
		jq -e '.values == 25 and .kept == 5 and .l2_kept < .l2'
	try gfl-model diff a.st s.st
	[ "$status" = 1 ]
	gfl-model sparsify a.st --keep 1 --out all.st >/dev/null
	gfl-model diff a.st all.st
	# with a base the rest is the base's
	gfl-model sparsify a.st --keep 0 --base b.st --out base.st >/dev/null
	gfl-model diff b.st base.st
	gfl-model init mlp --out c.st
	try gfl-model sparsify a.st --keep 0.5 --base c.st --out x.st
	failed 2 'the base has no tensor "fc1.weight" of that type and shape'
	[ ! -e x.st ]
}

@test "gfl-model converts to numpy's formats and back" {
	gfl-model init "input 3 8 8; conv 4 3; batchnorm; dense 5" --out a.st
	gfl-model convert a.st --out a.npz
	gfl-model convert a.npz --out b.st
	gfl-model diff a.st b.st
	[ "$(gfl-model info b.st --meta | wc -l)" = 0 ]
	text=$(gfl-model info a.st --meta -F value)
	gfl-model convert a.npz --model "$text" --out b.st
	[ "$(gfl-model info b.st --meta -F value)" = "$text" ]
	gfl-model convert a.st --out a.npy
	gfl-model convert a.npy --model "$text" --out c.st
	gfl-model diff a.st c.st
	try gfl-model convert a.npy --model mlp --out x.st
	failed 2 'a.npy has 853 values, expected 101770'
	try gfl-model convert a.npz --model mlp --out x.st
	failed 2 'a.npz, tensor "fc1.weight": 5x144 of F32, expected 128x784'
	truncate -s -3 a.npz
	try gfl-model convert a.npz --out x.st
	failed 2 "a.npz: "
	[ ! -e x.st ]
}
