# The first examples of a real data set, as a data set of its own.

full=/usr/share/datasets/fashion-mnist

# cut KIND COUNT - the first COUNT examples of the real set, as IDX files
cut_set() {
	local count
	printf -v count '\\x%02x\\x%02x' $(($2 / 256)) $(($2 % 256))
	{
		printf '\0\0\10\3\0\0%b\0\0\0\34\0\0\0\34' "$count"
		zcat "$full/$1-images-idx3-ubyte.gz" | tail -c +17 |
			head -c $(($2 * 784))
	} >"$small/$1-images-idx3-ubyte"
	{
		printf '\0\0\10\1\0\0%b' "$count"
		zcat "$full/$1-labels-idx1-ubyte.gz" | tail -c +9 |
			head -c "$2"
	} >"$small/$1-labels-idx1-ubyte"
}

# In setup_file: the set is in $small, in parts as gfl-data split makes them.
small_set() { # OPTION...
	export small=$BATS_FILE_TMPDIR/small
	mkdir "$small"
	cut_set train 2000
	cut_set t10k 500
	gfl-data split --data "$small" --out "$small/parts" "$@"
}
