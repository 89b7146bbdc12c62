#!/bin/sh
# Usage: fuzz.sh TIME [TARGET ...]
# Runs every fuzz target of the module, or those named, one after another for TIME each (go's -fuzztime: 1m, 10m, 1000x). A
# target that finds something does not keep the others from running; its input is then in the package's testdata/fuzz,
# where it stays as a test. At the end there is a line for each; the exit code is 1 if one failed or if there was none.
[ $# -ge 1 ] || { sed -n 2,5p "$0"; exit 129; }
time=$1
shift
wanted=" $* "
log=$(mktemp) && table=$(mktemp) || exit 131
trap 'rm -f "$log" "$table"' EXIT
trap 'exit 130' INT TERM
failed=0
# In variables first: what fails within a pipe or a for would go unnoticed, and its targets would seem to have run.
packages=$(go list ./...) || exit 1
for package in $packages; do
	targets=$(go test -list '^Fuzz' "$package") || exit 1
	for target in $(echo "$targets" | grep '^Fuzz'); do
		case $wanted in "  " | *" $target "*) ;; *) continue ;; esac
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" >"$log" 2>&1
		code=$?
		[ $code -eq 0 ] || { failed=1; cat "$log"; }
		awk -v name="$package $target" -v code=$code '
			/^fuzz: elapsed/ { for (i = 1; i < NF; i++) { if ($i == "execs:") execs = $(i + 1); if ($i == "interesting:") new = $(i + 1) } }
			END { printf "%-45s %12s executions, %5s new inputs  %s\n", name, execs + 0, new + 0, code ? "FAILED" : "ok" }' "$log" | tee -a "$table"
	done
done
echo
cat "$table"
[ -s "$table" ] || { echo "fuzz.sh: no such target:$wanted" >&2; exit 1; }
exit $failed
