# Whole clusters that are put through something, as gfl-scenario does it.

load helpers

holds() { # SCENARIO
	TMPDIR=$PWD gfl-scenario "$1" >out 2>err || {
		cat out err
		tail -n 20 gfl-*/*.log
		return 1
	}
	cat out
	tail -n 1 out | grep -q '^held: '
	[ -z "$(pgrep -af -- "$PWD/gfl-")" ]
	[ -z "$(find . -maxdepth 1 -name 'gfl-*')" ]
}

@test "scenario1: two nodes talk" {
	holds scenario1
}

@test "scenario2: nodes come and go under messages" {
	holds scenario2
}

@test "scenario3: one message reaches all who are there" {
	holds scenario3
}

@test "monitor: what changes is seen, and faults are told from health" {
	holds monitor
}

@test "resilience: gateway, leader, node and paths are lost, nobody is evicted" {
	holds resilience
}

@test "without privilege partition fails by name, and may be left out" {
	mkdir bin
	printf '#!/bin/sh\necho "unshare: not permitted" >&2\nexit 1\n' >bin/unshare
	chmod +x bin/unshare
	GFL_SKIP='' TMPDIR=$PWD PATH=$PWD/bin:$PATH fails 1 gfl-scenario partition
	[[ $said == *netns*'unshare: not permitted'*GFL_SKIP=netns* ]]
	[ "$(GFL_SKIP=netns gfl-scenario partition)" = \
		'left out, as GFL_SKIP=netns says' ]
}

@test "an installed gfl-scenario has its scenarios" {
	make -s -C "$BATS_TEST_DIRNAME/../.." install PREFIX="$PWD/usr" \
		BUILD="$(realpath "$(dirname "$(command -v gfl-scenario)")/..")" \
		>install.log 2>&1
	PATH=$PWD/usr/bin:$PATH holds scenario1
	[ -x usr/share/doc/gfl/examples/gfl-textfile.sh ]
	[ -s usr/share/doc/gfl/examples/gfl-check.cron ]
}
