#!/bin/sh
# Usage: fuzz.sh TIME
# Runs every fuzz target of the module for TIME each (go's -fuzztime: 1m, 10m, 1000x).
set -e
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package"
	done
done
