#!/bin/sh
# Usage: deb.sh [VERSION]. Makes bin/kcatch_VERSION_ARCH.deb with "make install" and dpkg-deb. Debian's golang is not asked for: GO, or the go on PATH.
# DEBFULLNAME and DEBEMAIL name the maintainer, else git's user.name and user.email do.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo none)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH
version=${1:-0~$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S).$commit}
name=${DEBFULLNAME:-$(git config user.name || echo kcatch)}
mail=${DEBEMAIL:-$(git config user.email || echo root@localhost)}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
root=$tmp/root
doc=$root/usr/share/doc/kcatch

# -s -w leaves out what gdb reads; a panic's own lines stay. With a C library the program is linked as Debian's are.
flags="-trimpath -buildvcs=false -buildmode=pie"
$GO build $flags -ldflags "-s -w -X main.packaged=$version -linkmode=external -extldflags '-Wl,-z,relro,-z,now'" -o "$tmp/kcatch" ./cmd/kcatch
# GO=: because it is built.
make -s install KCATCH="$tmp/kcatch" GO=: DESTDIR="$root" PREFIX=/usr ZSHDIR=share/zsh/vendor-completions
find "$root/usr/share/man" -name '*.1' -exec gzip -9n {} +

mkdir -p "$doc" "$root/DEBIAN"
cp packaging/copyright "$doc/copyright"
{
	printf 'kcatch (%s) unstable; urgency=medium\n\n  * Built from commit %s.\n\n' "$version" "$commit"
	printf ' -- %s <%s>  %s\n' "$name" "$mail" "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')"
} | gzip -9n > "$doc/changelog.gz"
# The notices of everything that is linked in.
{
	printf '== Go, %s\n\n' "$($GO env GOVERSION)"
	cat "$($GO env GOROOT)/LICENSE"
	$GO list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/kcatch | sort -u | while read -r path v dir; do
		for f in "$dir"/LICENSE* "$dir"/LICENCE* "$dir"/COPYING* "$dir"/NOTICE*; do
			test -f "$f" || continue
			printf '\n== %s %s, %s\n\n' "$path" "$v" "$(basename "$f")"
			cat "$f"
		done
	done
} | gzip -9n > "$doc/libraries.gz"

libc=
if readelf -d "$tmp/kcatch" | grep -q 'NEEDED.*libc\.so'; then
	# The newest symbol version that is asked for is the oldest library that will do.
	libc="libc6 (>= $(readelf -V "$tmp/kcatch" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2)), "
fi
size=$(du -k -s --apparent-size "$root/usr" | cut -f1)
sed -e "s|@VERSION@|$version|; s|@MAINTAINER@|$name <$mail>|; s|@SIZE@|$size|; s|@LIBC@|$libc|" packaging/control > "$root/DEBIAN/control"
(cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum) > "$root/DEBIAN/md5sums"
chmod -R u+rwX,go+rX,go-w "$root"
mkdir -p bin
rm -f bin/kcatch_*.deb
dpkg-deb --root-owner-group --build "$root" "bin/kcatch_${version}_amd64.deb"
