#!/bin/sh
# deps.sh PACKAGE... - install what is missing of these Debian packages, as root
# or through sudo; waits for another installation that is under way. Says
# nothing, and needs no network, when nothing is missing.
set -eu

missing=
for p in "$@"; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
	installed*) ;; # once an architecture
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: no apt-get here; install what Debian 12 calls:$missing" >&2
	exit 1
fi
root=
if [ "$(id -u)" != 0 ]; then
	root=sudo
	if ! command -v sudo >/dev/null; then
		echo "deps: run as root, or install sudo; missing:$missing" >&2
		exit 1
	fi
fi
echo "installing:$missing"
$root apt-get -qq update
# shellcheck disable=SC2086 # words on purpose
$root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
	-o DPkg::Lock::Timeout=120 --no-install-recommends $missing >/dev/null
