#!/bin/sh
# Makes the test ELFs of this directory; see README.md. Output depends on the compiler, so the results are committed.
set -e
cd "$(dirname "$0")"
build() {
	out=$1; shift
	"${CC:-gcc}" -O2 -ffile-prefix-map="$PWD"=/tree -ffreestanding -fno-pic -mcmodel=kernel -fcf-protection=none \
		-fno-asynchronous-unwind-tables -fno-stack-protector -mno-red-zone -nostdlib -static "$@" \
		-Wl,-Ttext=0xffffffff81000000 -Wl,-e,startup_64 -Wl,--build-id=sha1 -Wl,-z,max-page-size=64 -Wl,-z,norelro \
		-o "$out" init/main.c
}
build tiny.elf -gdwarf-5
build tiny-dwarf4.elf -gdwarf-4
CC=clang-14 build tiny-clang.elf -gdwarf-5
objcopy -R .debug_aranges tiny.elf tiny-noaranges.elf
objcopy --compress-debug-sections=zlib tiny.elf tiny-zlib.elf
objcopy --compress-debug-sections=zstd tiny.elf tiny-zstd.elf
strip -g -o tiny-stripped.elf tiny.elf
