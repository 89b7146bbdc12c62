#!/bin/sh
# Has the package in bin checked by lintian, and installed and run in a clean root: a Debian that mmdebstrap makes, when that is there and
# the network too, else an empty directory with the libraries of this machine. Needs root, for the mounts.
set -eu
cd "$(dirname "$0")/.."
deb=$(ls bin/kcatch_*.deb)
lintian --fail-on error,warning "$deb"
echo "lintian: no error, no warning"

root=$(mktemp -d)
log=$(mktemp)
trap 'rm -rf "$root" "$log"' EXIT
if command -v mmdebstrap >/dev/null && mmdebstrap --quiet --variant=minbase --include=busybox-static,qemu-system-x86 "$(. /etc/os-release; echo "$VERSION_CODENAME")" "$root" 2>"$log"; then
	cp "$deb" "$root/tmp/kcatch.deb"
	chroot "$root" dpkg -i /tmp/kcatch.deb
else
	echo "no clean Debian can be made here ($(tail -n 1 "$log" 2>/dev/null)); unpacking the package into an empty directory" >&2
	dpkg -x "$deb" "$root"
	ldd "$root/usr/bin/kcatch" | grep -o '/[^ ]*' | while read -r lib; do install -D "$lib" "$root$lib"; done
fi
# With a /proc of its own, which the guest's RAM goes by.
inside() { unshare --mount --pid --fork --root="$root" --mount-proc "$@"; }
inside kcatch version
inside kcatch help boot >/dev/null
inside kcatch doctor || test $? = 1

# A kernel of the tests dies in there as it does outside, when "make fixtures" has made it.
seed=${XDG_CACHE_HOME:-$HOME/.cache}/kcatch/fixtures/seed-6.1
if test -e "$seed/vmlinux" && test -e "$root/usr/bin/qemu-system-x86_64"; then
	cp -L "$seed/bzImage" "$seed/vmlinux" "$root/tmp"
	inside kcatch boot --accel tcg --kernel /tmp/bzImage --vmlinux /tmp/vmlinux --expect early-exception:__SetPageReserved
fi
