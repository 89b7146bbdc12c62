#!/bin/sh
# Usage: deps.sh COMMAND-OR-FILE:PACKAGE ...
# Installs the packages whose command or file is missing, as root; otherwise prints the one apt line.
missing=
for need; do
	have=${need%%:*} package=${need#*:}
	case $have in
	/*) test -e "$have" ;;
	*) command -v "$have" >/dev/null ;;
	esac && continue
	case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
done
test -z "$missing" && exit 0
if ! command -v apt-get >/dev/null; then
	echo "kcatch: missing:$missing; install them with this system's package manager" >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "kcatch: missing packages; run: sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "kcatch: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086
if { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	rm -f "$log"
else
	tail -n 5 "$log" >&2
	echo "kcatch: apt-get failed; its output is in $log" >&2
	exit 1
fi
