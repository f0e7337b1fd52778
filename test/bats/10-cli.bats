# What holds for every program, whatever it does.

setup() {
	cd "$BATS_TEST_TMPDIR"
	export HOME=$PWD XDG_CONFIG_HOME=$PWD/none
	bin=$(dirname "$(command -v gfl)")
}

# Run a function with the name of every program; with `tables`, of those that
# have a table of options (all but shell scripts).
each() {
	for program in "$bin"/gfl-*; do
		if [ "$2" = tables ] && ! grep -q gfl-docs "$program"; then
			continue
		fi
		"$1" "$program" || { echo "$program"; return 1; }
	done
}

help_is_clean() {
	"$1" -h >out 2>err && [ -s out ] && [ ! -s err ] &&
		! grep -qE $'^.{81}|\033' out
}

@test "-h goes to stdout, fits in 80 columns and exits 0" {
	each help_is_clean
}

@test "the help of an option that takes one of some words names them" {
	"$bin/gfl-server" -h | tr -s ' \n' ' ' |
		grep -q -e '--aggregate=RULE .*: fedavg, .*, multikrum (default fedavg)'
	grep -q 'round\\-robin, least\\-loaded' "$bin/../share/man/man1/gfl-master.1"
}

has_page() { [ -s "$bin/../share/man/man1/${1##*/}.1" ]; }

@test "man finds the page of every program by the PATH that has it" {
	each has_page
	[ -s "$bin/../share/man/man7/gfl.7" ]
}

@test "the help of a program with commands names the help of a command" {
	"$bin/gfl-run" -h | grep -qx 'gfl-run COMMAND --help tells .*'
	"$bin/gfl-run" start -h | grep -q -- --rounds=N
}

# How a mistake in usage ends: gfl-check has the monitoring plugins' UNKNOWN,
# gfl-guard what those have that run a command.
usage_status() {
	case ${1##*/} in
	gfl-check) echo 3 ;;
	gfl-guard) echo 126 ;;
	*) echo 2 ;;
	esac
}

refuses_unknown_option() {
	status=0
	"$1" --no-such-option >out 2>err || status=$?
	[ "$status" = "$(usage_status "$1")" ] && [ ! -s out ] &&
		grep -q "^${1##*/}: .*--no-such-option" err
}

@test "an unknown option is one sentence on stderr and exits with its status" {
	each refuses_unknown_option
}

names_version() {
	[[ $("$1" --version) == "${1##*/} (gfl) "* ]]
}

@test "--version names program and version" {
	each names_version
}

shows_config() {
	GFL_LOG_LEVEL=debug "$1" --show-config |
		grep -qx $'log-level\tdebug\tGFL_LOG_LEVEL'
}

@test "--show-config tells each value and where it came from" {
	each shows_config tables
}

refuses_bad_config() {
	printf '[%s]\nno-such-option = 1\n' "${1##*/}" >gfl.conf
	status=0
	"$1" >out 2>err || status=$?
	[ "$status" = "$(usage_status "$1")" ] &&
		grep -q '\./gfl.conf:2: unknown option' err
}

@test "an unknown name in the program's section of gfl.conf is a mistake in usage" {
	each refuses_bad_config tables
}

@test "a full disk is an error of whoever writes to it" {
	run bash -c '"$0" --show-config >/dev/full' "$bin/gfl-data"
	[ "$status" = 7 ]
	[[ $output == "gfl-data: write standard output: No space left"* ]]
}

@test "with 0, 1 and 2 closed no file or socket takes their place" {
	run bash -c '"$0" -g http://127.0.0.1:1 <&- >&- 2>&-' "$bin/gfl-list"
	[ "$status" = 3 ]
	run bash -c '"$0" --show-config >&-' "$bin/gfl-list"
	[[ $output == "gfl-list: write standard output: Bad file descriptor" ]]
}

completed() { # WORD... - the completions of the last
	(
		source "$BATS_TEST_DIRNAME/../../completions/gfl.bash"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		"_${1//-/_}"
		echo "${COMPREPLY[@]}"
	)
}

@test "completion: words where words may stand, options after a dash" {
	[ "$(completed gfl-run '')" = 'start stop list show' ]
	[ "$(completed gfl-list t)" = 'trainers topology tasks' ]
	[ "$(completed gfl-run start --mod)" = --model ]
	[ "$(completed gfl run st)" = 'start stop' ]
	[ "$(completed gfl wai)" = wait ]
	[ -z "$(completed gfl-send '')" ]
	[ "$(completed gfl scenario re)" = resilience ]
	[ "$(completed gfl-scenario --t)" = --times ]
	touch here
	[ "$(completed gfl-scenario --data he)" = here ]
}

@test "completion in fish: the same words, with what they mean" {
	completions() { # LINE - the words that fish offers
		fish --no-config -c 'source "$argv[1]"; complete -C "$argv[2]"' \
			"$BATS_TEST_DIRNAME/../../completions/gfl.fish" "$1"
	}
	[ "$(completions 'gfl-run st' | grep -c '^st')" = 2 ]
	[ "$(completions 'gfl-list tr')" = trainers ]
	[ "$(completions 'gfl-list -o t' | cut -f 1 | paste -sd ' ')" = 'table tsv' ]
	[[ "$(completions 'gfl-run start --mod')" = --model$'\t'* ]]
	[ "$(completions 'gfl wai')" = wait ]
	[[ "$(completions 'gfl list --fo')" = --format$'\t'* ]]
	[ "$(completions 'gfl-scenario resi')" = resilience ]
	touch here
	[ "$(completions 'gfl-scenario --data he' | cut -f 1)" = here ]
}

@test "completion in zsh, on a terminal" {
	cat >steps <<-end
		> fpath=($BATS_TEST_DIRNAME/../../completions \$fpath)\r
		> autoload -U compinit; compinit -u -D; PS1=rea''dy%%\r
		< ready%
		> gfl-list --form\t
		< gfl-list --format=
		> tab\t
		< table
		> \x15gfl run sho\t
		< gfl run show
		> \x15gfl wor\t
		< gfl worker
		> \x15gfl-scenario resi\t
		< resilience
		> \x15exit\r
	end
	TERM=dumb "$BATS_TEST_DIRNAME/terminal.py" steps zsh -f -i
}

@test "a reader that leaves ends the writer by SIGPIPE, silently" {
	run bash -c '"$0" --show-config 2>err | true; echo "${PIPESTATUS[0]}"' \
		"$bin/gfl-data"
	[ "$output" = 141 ] || [ "$output" = 0 ]
	[ ! -s err ]
}

@test "gfl alone lists every program with what it does" {
	gfl >out
	for program in "$bin"/gfl-*; do
		name=${program##*/gfl-}
		grep -qE "^  $name +[^ ]" out || { echo "$name"; return 1; }
	done
}

@test "gfl help NAME is what gfl-NAME says; help for nothing is told" {
	diff <(gfl help list) <(gfl-list --help)
	run gfl help nonesuch
	[ "$status" = 2 ]
	[ "${lines[0]}" = 'gfl: there is no program gfl-nonesuch' ]
	[ "$(gfl --version)" = "$(gfl-list --version | sed 's/-list (gfl)//')" ]
}

@test "gfl NAME runs gfl-NAME and passes everything on" {
	mkdir bin
	cp "$bin/gfl" bin
	printf '#!/bin/sh\n# gfl-try - a trial\nprintf "<%%s>" "$@"\nexit 3\n' \
		>bin/gfl-try
	chmod +x bin/gfl-try
	run bin/gfl try 'a b' --c
	[ "$status" = 3 ]
	[ "$output" = '<a b><--c>' ]
	ln -s "$PWD/bin/gfl" link
	run ./link try x
	[ "$output" = '<x>' ]
	run bin/gfl
	[[ $output == *"  try          a trial"* ]]
	run gfl no-such-program
	[ "$status" = 2 ]
}
