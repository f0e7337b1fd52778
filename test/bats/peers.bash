# How far the trainers of a run are, whose id is in $id, and what they say. A
# run that a test looks at on its way does not end by itself, however fast the
# machine is: the test ends it.

# endless [OPTION...] - start one
endless() {
	id=$(gfl-run start --rounds 1000000 --steps 1 "$@")
}

# What trainer NAME says of itself is in $answer.
status_of() { # NAME
	local -n at=$1_url
	call "$at" gfl.v1.TrainerService/GetStatus '{}' >/dev/null
}

reaches() { # NAME ROUND
	until status_of "$1" && is ".round // 0 | tonumber >= $2"; do :; done
}

logged() { # NAME PATTERN
	until grep -q "$2" "$1.log"; do :; done
}

# The run's table as FIELD,... of each trainer.
table() {
	gfl-run show "$id" -o tsv -F "$1"
}

# Each of these trainers completes 20 exchanges from now on.
exchange_more() { # ID...
	table trainer,exchanges >before
	until table trainer,exchanges | awk -v ids="$*" '
		FNR == NR { had[$1] = $2; next }
		{ has[$1] = $2 }
		END {
			for (n = split(ids, id, " "); n; n--)
				if (has[id[n]] < had[id[n]] + 20)
					exit 1
		}' before -; do :; done
}

# The model that the run leaves is in the file.
left() { # FILE
	until [ -s "$1" ]; do :; done
}
