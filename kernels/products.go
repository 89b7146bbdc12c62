package kernels

import "strings"

// products are the files that building inside a kernel tree leaves there, as .gitignore rules: the root .gitignore of Linux 6.12
// without what is no product of the build (dot files, patches, archives, keys) and would hide a source or an input.
// The tree's own root .gitignore is not read: Debian's ends in "/*", which ignores all of the source.
// Everything with a ".NAME.cmd" beside it is a product too, which covers most; see [scanner.directory].
const products = `
.*.cmd
.*.d
.*.o
.tmp_*
.tmp_*/
.config.old
.version
.vmlinux*
.missing-syscalls.d
.cache.mk
.module-common.o
.thinlto-cache/
*.a
*.asn1.[ch]
*.dtb
*.dtbo
*.dtb.S
*.dt.yaml
*.dwo
*.elf
*.gcno
*.gcda
*.ko
*.lex.c
*.ll
*.lst
*.mod
*.mod.c
*.o
*.o.*
*.rmeta
*.rsi
*.so
*.so.dbg
*.su
*.symtypes
*.symversions
*.tab.[ch]
*.usyms
*.orig
*.rej
*~
.*.sw[a-p]
\#*#
Module.symvers
modules.order
modules-only.symvers
/linux
/vmlinux
/vmlinux.*
/vmlinux-gdb.py
/vmlinuz
/System.map
/Module.markers
/modules.builtin
/modules.builtin.modinfo
/modules.builtin.ranges
/modules.nsdeps
/compile_commands.json
/rust-project.json
/tar-install/
/include/generated/
/include/ksym/
/certs/signing_key.pem
/certs/signing_key.x509
/certs/x509.genkey
/.pc/
/tags
/TAGS
/cscope.*
/ncscope.*
/GPATH
/GRTAGS
/GSYMS
/GTAGS
`

// refusedByMake are the paths whose presence makes an out-of-tree build end with "The source tree is not clean" (Makefile,
// outputmakefile). They are left out even when git tracks them: some people commit their .config.
func refusedByMake(path string) bool {
	return path == ".config" || path == "include/config" ||
		strings.HasPrefix(path, "arch/") && strings.HasSuffix(path, "/include/generated") && strings.Count(path, "/") == 3
}
