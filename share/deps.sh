#!/bin/sh
# deps.sh PACKAGE... - install what is missing of these Debian packages, as root
# or through sudo. Says nothing, and needs no network, when nothing is missing.
set -eu

missing=
for p in "$@"; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

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
	--no-install-recommends $missing >/dev/null
