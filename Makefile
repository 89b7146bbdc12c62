# kcatch. Two targets do everything on a fresh Debian machine with Go:
#
#   make boot    build the kernel of kcatch's own story, boot it, catch its early death, print the whole chain
#   make test    every test, on real kernels under a real QEMU (the kernels are built once, into the cache)

GO     ?= go
KCATCH := bin/kcatch
PREFIX ?= /usr/local

.PHONY: all build boot test check fixtures deps test-deps bench bisect campaign matrix kdump faults smoke fuzz install deb deb-check clean

all: build

build:
	@$(GO) build -o $(KCATCH) ./cmd/kcatch

# The assertion kills the kernel in setup_arch(), before it has a console. --expect makes the death the success.
boot: deps build
	@$(KCATCH) boot debian-6.1 --patch pgflags-refcount --expect early-exception:__SetPageReserved $(ARGS)

# What a kernel build, a guest and the tests need, as command-or-file:package. Installed only by root.
NEEDS := gcc:gcc make:make flex:flex bison:bison bc:bc xz:xz-utils lz4:lz4 git:git perl:perl python3:python3 \
	/usr/include/gelf.h:libelf-dev /usr/include/openssl/opensslv.h:libssl-dev \
	qemu-system-x86_64:qemu-system-x86 /usr/share/doc/busybox-static:busybox-static
TEST_NEEDS := gdb:gdb addr2line:binutils readelf:binutils /usr/lib/python3/dist-packages/drgn:python3-drgn \
	zstd:zstd bzip2:bzip2 lzop:lzop zsh:zsh fish:fish /usr/share/bash-completion/bash_completion:bash-completion groff:groff-base \
	xmllint:libxml2-utils /usr/lib/python3/dist-packages/junitparser:python3-junitparser prove:perl cmark-gfm:cmark-gfm chromium:chromium

deps:
	@sh internal/deps.sh $(NEEDS)

test-deps:
	@sh internal/deps.sh $(NEEDS) $(TEST_NEEDS)

# The kernels that the tests run on.
fixtures: test-deps
	@$(GO) run ./internal/fixtures/make

# The gate for every commit: quick, no kernel, no network.
check:
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt would change these"; exit 1; }
	@$(GO) vet ./...
	@$(GO) tool staticcheck ./...
	@$(GO) tool actionlint -shellcheck= -pyflakes= .github/workflows/*.yml docs/ci/github.yml

# The packages that boot the most come first: they are started in this order, one on each CPU. check has vetted all of it already. A race
# may show up for a moment after the last test of a package; the detector's own second would be spent fifty times.
test: check fixtures
	@GORACE="atexit_sleep_ms=100 $$GORACE" $(GO) test -race -vet=off -timeout 30m ./harness ./cmd/kcatch ./harness/faults ./...

# The whole fault corpus: some 150 boots, of which the hangs take 50 s each. ARGS="--only 'early-*'" takes a part.
faults: fixtures build
	@$(KCATCH) faults $(ARGS)

# Our own matrix: kernels that must live, and one that must die of its assertion. ARGS="--only 'debian-6.1/*'" takes a part.
smoke: fixtures build
	@KCATCH_FIXTURES="$${XDG_CACHE_HOME:-$$HOME/.cache}/kcatch/fixtures" $(KCATCH) smoke --profile configs/profiles/ci.yaml $(ARGS)

# A bisection over real commits and real builds, some ten minutes. ARGS="-dir DIR" keeps what it built.
bisect: fixtures
	@$(GO) run ./internal/history $(ARGS)

bench: fixtures build
	@$(GO) run ./internal/bench

# Half an hour: hundreds of boots on a busy host, every verdict counted. Its table goes into docs/reliability.md.
campaign: fixtures
	@$(GO) run ./internal/campaign -o docs/reliability.md

# Every shape of kernel and vmlinux, by hand; ARGS=-build also those that have to be built, which takes an hour.
matrix: fixtures
	@$(GO) run ./internal/matrix $(ARGS)

# Real cores of kdump, of a panic and of an oops: three minutes. ARGS="-keep DIR" leaves them.
kdump: fixtures
	@$(GO) run ./internal/kdump $(ARGS)

FUZZTIME ?= 1m
fuzz:
	@sh internal/fuzz.sh $(FUZZTIME)

# The program, its manual pages, and what bash, zsh and fish complete by. ZSHDIR is where zsh looks; Debian's packages have another.
ZSHDIR ?= share/zsh/site-functions
SHARE  := $(DESTDIR)$(PREFIX)/share

install: build
	install -D -m 755 $(KCATCH) $(DESTDIR)$(PREFIX)/bin/kcatch
	install -d $(SHARE)/bash-completion/completions $(DESTDIR)$(PREFIX)/$(ZSHDIR) $(SHARE)/fish/vendor_completions.d
	$(KCATCH) help --man $(SHARE)/man/man1
	$(KCATCH) completion bash > $(SHARE)/bash-completion/completions/kcatch
	$(KCATCH) completion zsh > $(DESTDIR)$(PREFIX)/$(ZSHDIR)/_kcatch
	$(KCATCH) completion fish > $(SHARE)/fish/vendor_completions.d/kcatch.fish

# A Debian package, bin/kcatch_VERSION_amd64.deb, with the Go toolchain that is on PATH. deb-check also has it checked by lintian, unpacks it
# into a clean root, and runs it there.
deb:
	@GO="$(GO)" sh packaging/deb.sh

deb-check: deb
	@sh packaging/check.sh

clean:
	rm -rf bin
