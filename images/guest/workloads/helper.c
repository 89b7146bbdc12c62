/*
 * What busybox cannot do to the guest's memory: map it, share it, give advice on it, tear it. The shell script of a workload
 * calls it with the name of an exercise. It stands on system calls alone, without a C library, so that any compiler
 * that can build a kernel can build it (gcc -static -nostdlib).
 *
 * Exit status: 0 done; 77 the kernel does not have it; 1 it has, and it went wrong. Status and one line on standard output
 * say which. Every loop is bounded by the size of what it walks or by a count of waits.
 */
typedef unsigned long ulong;

/* Numbers: linux/arch/x86/entry/syscalls/syscall_64.tbl. */
enum {
	SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_lseek = 8, SYS_mmap = 9, SYS_munmap = 11, SYS_pipe = 22,
	SYS_mremap = 25, SYS_msync = 26, SYS_madvise = 28, SYS_nanosleep = 35, SYS_sendfile = 40, SYS_socketpair = 53,
	SYS_fork = 57, SYS_exit = 60, SYS_wait4 = 61, SYS_ftruncate = 77, SYS_mlock = 149, SYS_munlock = 150, SYS_move_pages = 279,
	SYS_splice = 275, SYS_tee = 276, SYS_vmsplice = 278,
};

/* linux/include/uapi/asm-generic/{errno-base,errno,mman-common}.h */
enum { EAGAIN = 11, ENOMEM = 12, EBUSY = 16, ENODEV = 19, EINVAL = 22, ENOSYS = 38, EAFNOSUPPORT = 97 };
enum { PROT_RW = 3, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_ANON = 0x20, MAP_HUGETLB = 0x40000 };
enum { MADV_DONTNEED = 4, MADV_FREE = 8, MADV_MERGEABLE = 12, MADV_HUGEPAGE = 14, MADV_PAGEOUT = 21, MADV_COLLAPSE = 25 };
enum { O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_TRUNC = 01000 };

enum { PAGE = 4096, HUGE = 2 << 20, MB = 1 << 20, ABSENT = 77 };

static long call(long n, ulong a, ulong b, ulong c, ulong d, ulong e, ulong f)
{
	register ulong r10 __asm__("r10") = d;
	register ulong r8 __asm__("r8") = e;
	register ulong r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#define CALL(n, a, b, c, d, e, f) call(n, (ulong)(a), (ulong)(b), (ulong)(c), (ulong)(d), (ulong)(e), (ulong)(f))
#define CALL3(n, a, b, c) CALL(n, a, b, c, 0, 0, 0)

static ulong length(const char *s)
{
	ulong n = 0;

	while (s[n])
		n++;
	return n;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void leave(int status)
{
	for (;;)
		CALL3(SYS_exit, status, 0, 0);
}

/* decimal is a number and a newline as text, until it is called again. */
static const char *decimal(ulong n)
{
	static char text[24];
	char *p = text + sizeof(text) - 1;

	*--p = '\n';
	do
		*--p = '0' + n % 10;
	while (n /= 10);
	return p;
}

/* done ends the exercise: what, and where it is not zero the error that a system call gave. */
static void done(int status, const char *what, long err)
{
	CALL3(SYS_write, 1, what, length(what));
	if (err) {
		const char *number = decimal(err < 0 ? -err : err);

		CALL3(SYS_write, 1, ": error ", 8);
		CALL3(SYS_write, 1, number, length(number));
	} else {
		CALL3(SYS_write, 1, "\n", 1);
	}
	leave(status);
}

/* check ends the exercise as failed when a system call did. */
static long check(long ret, const char *what)
{
	if (ret < 0 && ret > -4096)
		done(1, what, ret);
	return ret;
}

/* advise gives advice that a kernel may not know: without CONFIG_ADVISE_SYSCALLS none, else what it was built for. */
static long advise(char *p, ulong size, int advice, const char *what)
{
	long n = CALL3(SYS_madvise, p, size, advice);

	if (n == -EINVAL || n == -ENOSYS)
		done(ABSENT, what, n);
	if (n == -ENOMEM || n == -EAGAIN || n == -EBUSY) /* MADV_COLLAPSE: no huge page is free just now */
		return n;
	return check(n, what);
}

static char *map(ulong size, int flags, int fd)
{
	return (char *)check(CALL(SYS_mmap, 0, size, PROT_RW, flags, fd, 0), "mmap");
}

/* aligned maps size bytes of anonymous memory that begin at a huge page's boundary. */
static char *aligned(ulong size)
{
	char *p = map(size + HUGE, MAP_PRIVATE | MAP_ANON, -1);

	return (char *)(((ulong)p + HUGE - 1) & ~(ulong)(HUGE - 1));
}

static void fill(volatile char *p, ulong size, char salt)
{
	for (ulong i = 0; i < size; i += PAGE)
		p[i] = (char)(i / PAGE) + salt;
}

static void verify(volatile char *p, ulong size, char salt, const char *what)
{
	for (ulong i = 0; i < size; i += PAGE)
		if (p[i] != (char)((char)(i / PAGE) + salt))
			done(1, what, 0);
}

/* child runs the rest of the caller in a new process, once; the parent goes on when it has ended well. */
static int child(void)
{
	return check(CALL3(SYS_fork, 0, 0, 0), "fork") == 0;
}

static void reap(void)
{
	int status = -1;

	check(CALL(SYS_wait4, -1, &status, 0, 0, 0, 0), "wait4");
	if (status)
		done(1, "a child ended badly", 0);
}

/* cow writes to memory on both sides of a fork. */
static void cow(char *p, ulong size, const char *what)
{
	fill(p, size, 1);
	if (child()) {
		verify(p, size, 1, what);
		fill(p, size, 2);
		verify(p, size, 2, what);
		leave(0);
	}
	fill(p, size, 3);
	reap();
	verify(p, size, 3, what);
}

static void rest(long milliseconds)
{
	long t[2] = { milliseconds / 1000, milliseconds % 1000 * 1000000 };

	CALL3(SYS_nanosleep, t, 0, 0);
}

/* value is the number after key in a file like /proc/meminfo, or in a file that holds only a number; -1 without. */
static long value(const char *path, const char *key)
{
	static char text[32 << 10];
	long fd = CALL3(SYS_open, path, O_RDONLY, 0), got = 0, n;

	if (fd < 0)
		return -1;
	while (got < (long)sizeof(text) - 1 && (n = CALL3(SYS_read, fd, text + got, sizeof(text) - 1 - got)) > 0)
		got += n;
	CALL3(SYS_close, fd, 0, 0);
	text[got] = 0;
	for (char *p = text; *p;) {
		const char *k = key;

		while (*k && *k == *p)
			k++, p++;
		if (!*k) {
			long v = 0;

			while (*p == ' ' || *p == ':')
				p++;
			if (*p < '0' || *p > '9')
				return -1;
			for (; *p >= '0' && *p <= '9'; p++)
				v = v * 10 + *p - '0';
			return v;
		}
		while (*p && *p++ != '\n')
			;
	}
	return -1;
}

static int put(const char *path, const char *text)
{
	long fd = CALL3(SYS_open, path, O_WRONLY, 0);
	long n = fd < 0 ? fd : CALL3(SYS_write, fd, text, length(text));

	CALL3(SYS_close, fd, 0, 0);
	return n < 0 ? (int)n : 0;
}

static long file(const char *path, ulong size)
{
	long fd = check(CALL3(SYS_open, path, O_RDWR | O_CREAT | O_TRUNC, 0600), path);

	check(CALL3(SYS_ftruncate, fd, size, 0), "ftruncate");
	return fd;
}

/* Anonymous memory: first touch, copy on write, growth, holes, locking. */
static void anon(void)
{
	const ulong size = 4 * MB;
	char *p = map(size, MAP_PRIVATE | MAP_ANON, -1);

	cow(p, size, "anonymous memory changed over a fork");
	p = (char *)check(CALL(SYS_mremap, p, size, 2 * size, 1, 0, 0), "mremap");
	verify(p, size, 3, "anonymous memory changed by mremap");
	check(CALL3(SYS_mlock, p, MB, 0), "mlock");
	check(CALL3(SYS_munlock, p, MB, 0), "munlock");
	CALL3(SYS_madvise, p + MB, MB, MADV_FREE); /* since Linux 4.5 */
	if (CALL3(SYS_madvise, p + 2 * MB, MB, MADV_DONTNEED) == 0 && p[2 * MB])
		done(1, "a page that was given back is not zero", 0);
	check(CALL3(SYS_munmap, p + 3 * MB, MB, 0), "munmap");
}

/* A file mapped shared and private, at path. */
static void mapped(const char *path)
{
	const ulong size = 2 * MB;
	long fd = file(path, size);
	char *p = map(size, MAP_SHARED, fd), *q = map(size, MAP_PRIVATE, fd);

	fill(p, size, 5);
	check(CALL3(SYS_msync, p, size, 4), "msync");
	verify(q, size, 5, "a private mapping differs from its file");
	cow(q, size, "a private mapping changed over a fork");
	verify(p, size, 5, "a private mapping wrote to its file");
	check(CALL3(SYS_ftruncate, fd, size / 2, 0), "ftruncate");
}

/* Pages that move through pipes: vmsplice, tee, splice to a file at path, sendfile. */
static void pipes(const char *path)
{
	enum { N = 8 * PAGE };
	int a[2], b[2];
	char *p = map(N, MAP_PRIVATE | MAP_ANON, -1);
	struct { void *base; ulong len; } part = { p, N };
	long fd = file(path, 0), n, off = 0;

	fill(p, N, 7);
	check(CALL3(SYS_pipe, a, 0, 0), "pipe");
	check(CALL3(SYS_pipe, b, 0, 0), "pipe");
	n = CALL(SYS_vmsplice, a[1], &part, 1, 8 /* SPLICE_F_GIFT */, 0, 0);
	if (n == -ENOSYS)
		done(ABSENT, "vmsplice", n);
	if (check(n, "vmsplice") != N)
		done(1, "vmsplice took a part", 0);
	if (check(CALL(SYS_tee, a[0], b[1], N, 0, 0, 0), "tee") != N)
		done(1, "tee took a part", 0);
	if (check(CALL(SYS_splice, a[0], 0, fd, 0, N, 1 /* SPLICE_F_MOVE */), "splice") != N)
		done(1, "splice took a part", 0);
	verify(map(N, MAP_SHARED, fd), N, 7, "a file differs from what was spliced into it");
	/* From the file into the second pipe's place: it still holds what tee put there. */
	if (check(CALL3(SYS_read, b[0], p, N), "read") != N)
		done(1, "the pipe lost a part of what tee put there", 0);
	verify(p, N, 7, "a pipe changed what tee put there");
	check(CALL(SYS_splice, fd, &off, b[1], 0, N / 2, 0), "splice");
	off = 0;
	check(CALL(SYS_sendfile, b[1], fd, &off, N / 4, 0, 0), "sendfile");
}

static void sockets(void)
{
	enum { N = 64 << 10 };
	int s[2];
	char *p = map(N, MAP_PRIVATE | MAP_ANON, -1);
	long n = CALL(SYS_socketpair, 1 /* AF_UNIX */, 1 /* SOCK_STREAM */, 0, s, 0, 0);

	if (n == -ENOSYS || n == -EAFNOSUPPORT)
		done(ABSENT, "AF_UNIX", n);
	check(n, "socketpair");
	if (child()) {
		ulong got = 0;

		while (got < N) {
			n = check(CALL3(SYS_read, s[1], p + got, N - got), "read");
			if (n == 0)
				done(1, "the socket ended early", 0);
			got += n;
		}
		verify(p, N, 9, "a socket changed what went through it");
		leave(0);
	}
	fill(p, N, 9);
	for (ulong put = 0; put < N; put += n)
		n = check(CALL3(SYS_write, s[0], p + put, N - put), "write");
	reap();
}

/* Transparent huge pages: at the fault, over a fork, torn. */
static void thp(void)
{
	const ulong size = 2 * HUGE;
	char *p = aligned(size);
	long was = value("/proc/vmstat", "thp_fault_alloc "), fell = value("/proc/vmstat", "thp_fault_fallback ");

	advise(p, size, MADV_HUGEPAGE, "MADV_HUGEPAGE");
	fill(p, size, 1);
	if (was >= 0 && value("/proc/vmstat", "thp_fault_alloc ") == was)
		done(value("/proc/vmstat", "thp_fault_fallback ") > fell ? ABSENT : 1, "no huge page at the fault", 0);
	cow(p, size, "a huge page changed over a fork");
	advise(p + 8 * PAGE, 8 * PAGE, MADV_DONTNEED, "MADV_DONTNEED");
	if (p[8 * PAGE])
		done(1, "a part of a huge page that was given back is not zero", 0);
}

/* Small pages gathered into huge ones: of anonymous memory, and of a tmpfs file at path. Since Linux 6.1. */
static void collapse(const char *path)
{
	char *p = aligned(HUGE), *q;
	long fd;

	fill(p, HUGE, 1);
	advise(p, HUGE, MADV_COLLAPSE, "MADV_COLLAPSE of anonymous memory");
	verify(p, HUGE, 1, "anonymous memory changed as it was collapsed");

	fd = file(path, 2 * HUGE);
	q = aligned(2 * HUGE);
	q = (char *)check(CALL(SYS_mmap, q, HUGE, PROT_RW, MAP_SHARED | 0x10 /* MAP_FIXED */, fd, 0), "mmap");
	fill(q, HUGE, 2);
	advise(q, HUGE, MADV_COLLAPSE, "MADV_COLLAPSE of a file");
	verify(q, HUGE, 2, "a file changed as it was collapsed");
}

static void hugetlb(void)
{
	const ulong size = 2 * HUGE;
	long p = CALL(SYS_mmap, 0, size, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_HUGETLB, -1, 0);

	if (p == -EINVAL || p == -ENODEV || p == -ENOSYS)
		done(ABSENT, "MAP_HUGETLB", p);
	if (p == -ENOMEM)
		done(ABSENT, "not two huge pages in the pool", p);
	check(p, "MAP_HUGETLB");
	/* The child only reads: for a copy there may be no third page, and the kernel then kills it. */
	fill((char *)p, size, 1);
	if (child()) {
		verify((char *)p, size, 1, "a huge page changed over a fork");
		leave(0);
	}
	reap();
	fill((char *)p, size, 2);
	verify((char *)p, size, 2, "a huge page forgot what was written");
}

/* Equal pages merged, swapped out, brought back and torn apart. The script has started ksmd. */
static void ksm(void)
{
	const ulong size = 128 * PAGE;
	char *p = map(size, MAP_PRIVATE | MAP_ANON, -1);

	advise(p, size, MADV_MERGEABLE, "MADV_MERGEABLE");
	for (ulong i = 0; i < size; i++)
		p[i] = 0x55;
	for (int i = 0; value("/sys/kernel/mm/ksm/pages_sharing", "") < 32; i++) {
		if (i == 100)
			done(1, "ksmd merged nothing in 100 waits of 20 ms", 0);
		rest(20);
	}
	if (value("/proc/meminfo", "SwapFree") > 0)
		CALL3(SYS_madvise, p, size, MADV_PAGEOUT);
	if (child()) {
		for (ulong i = 0; i < size; i += PAGE)
			if (p[i] != 0x55)
				done(1, "a merged page changed", 0);
		fill(p, size, 1);
		leave(0);
	}
	reap();
	fill(p, size, 2);
	verify(p, size, 2, "a page that was merged forgot what was written");
}

/* Anonymous and shared memory out to swap and in again. */
static void pageout(void)
{
	const ulong size = 4 * MB;
	char *p = map(size, MAP_PRIVATE | MAP_ANON, -1), *q = map(MB, MAP_SHARED | MAP_ANON, -1);
	long was = value("/proc/vmstat", "pswpout ");

	fill(p, size, 1);
	fill(q, MB, 2);
	advise(p, size, MADV_PAGEOUT, "MADV_PAGEOUT");
	advise(q, MB, MADV_PAGEOUT, "MADV_PAGEOUT");
	if (was >= 0 && value("/proc/vmstat", "pswpout ") == was)
		done(1, "nothing went to swap", 0);
	if (child()) { /* shares the swap entries */
		verify(p, size, 1, "memory changed in swap");
		fill(p, size, 3);
		leave(0);
	}
	reap();
	verify(p, size, 1, "memory changed in swap");
	verify(q, MB, 2, "shared memory changed in swap");
}

/*
 * Memory with a hole at every second page, and a shared page beside every fourth, compacted; what is migrated is what it was.
 * Compaction moves pages up. What is taken before them and given back leaves room there, should they be at the top; it is more
 * than a CPU's own list of free pages keeps, an eighth of a zone since Linux 6.7.
 */
static void compaction(void)
{
	const ulong size = 8 * MB;
	char *p = map(size, MAP_PRIVATE | MAP_ANON, -1), *shared = map(size / 4, MAP_SHARED | MAP_ANON, -1);
	long was = value("/proc/vmstat", "pgmigrate_success "), room = value("/proc/meminfo", "MemFree") / 3 * 1024, n;
	char *before = room <= 0 ? 0 : map(room = room > 128 * MB ? 128 * MB : room & -PAGE, MAP_PRIVATE | MAP_ANON, -1);

	if (before)
		fill(before, room, 0);
	for (ulong i = 0; i < size; i += PAGE) {
		p[i] = (char)(i / PAGE) + 1;
		if (i % (4 * PAGE) == 0)
			fill(shared + i / 4, PAGE, 3);
	}
	for (ulong i = 0; i < size; i += 2 * PAGE)
		check(CALL3(SYS_munmap, p + i, PAGE, 0), "munmap");
	if (before)
		check(CALL3(SYS_munmap, before, room, 0), "munmap");
	n = put("/proc/sys/vm/compact_memory", "1\n");
	if (n)
		done(ABSENT, "/proc/sys/vm/compact_memory", n);
	for (ulong i = PAGE; i < size; i += 2 * PAGE)
		if (p[i] != (char)((char)(i / PAGE) + 1))
			done(1, "memory changed as it was compacted", 0);
	for (ulong i = 0; i < size / 4; i += PAGE)
		verify(shared + i, PAGE, 3, "shared memory changed as it was compacted");
	if (was >= 0 && value("/proc/vmstat", "pgmigrate_success ") == was)
		done(1, "nothing was migrated", 0);
}

/* Pages moved by hand to the node where there is one: without NUMA there is no such system call. */
static void migrate(void)
{
	enum { N = 64 };
	void *pages[N];
	int nodes[N], status[N];
	char *p = map(N * PAGE, MAP_PRIVATE | MAP_ANON, -1);
	long n;

	fill(p, N * PAGE, 1);
	for (int i = 0; i < N; i++)
		pages[i] = p + i * PAGE, nodes[i] = value("/sys/devices/system/node/has_memory", "0-") > 0 ? 1 : 0, status[i] = -1;
	n = CALL(SYS_move_pages, 0, N, pages, nodes, status, 2 /* MPOL_MF_MOVE */);
	if (n == -ENOSYS)
		done(ABSENT, "move_pages", n);
	check(n, "move_pages");
	verify(p, N * PAGE, 1, "memory changed as it was moved");
}

/*
 * Takes memory, at most 512 MiB, until kswapd has run. The script has put the low watermark a tenth of memory above the
 * minimum, so that this comes well before an allocation has to wait, or the OOM killer has to come; should it come all the
 * same, this program offers itself. With more memory than that kswapd has nothing to do.
 */
static void pressure(void)
{
	const long total = value("/proc/meminfo", "MemTotal");
	const long was = value("/proc/vmstat", "pageoutrun "); /* -1 without CONFIG_VM_EVENT_COUNTERS */

	if (total < 0)
		done(ABSENT, "/proc/meminfo", 0);
	put("/proc/self/oom_score_adj", "1000\n");
	for (int taken = 0; taken < 512 && value("/proc/vmstat", "pageoutrun ") == was; taken++) {
		long left = value("/proc/meminfo", "MemFree");

		if (left < (was < 0 ? total / 10 : total / 20))
			break;
		if (left > total / 4) {
			fill(map(4 * MB, MAP_PRIVATE | MAP_ANON, -1), 4 * MB, 0);
			taken += 3;
			continue;
		}
		fill(map(MB, MAP_PRIVATE | MAP_ANON, -1), MB, 0);
		rest(1);
	}
	/* Processes more, and page tables and slabs for them, while there is little left. */
	for (int i = 0; i < 8; i++) {
		if (child())
			leave(0);
		reap();
	}
	if (was >= 0 && value("/proc/vmstat", "pageoutrun ") == was)
		done(total > 600 * 1024 ? ABSENT : 1, "kswapd did not run", 0);
}

static void begin(long *sp)
{
	char **argv = (char **)(sp + 1);
	const char *what = sp[0] > 1 ? argv[1] : "", *path = sp[0] > 2 ? argv[2] : "/tmp/helper";

	if (same(what, "anon"))
		anon();
	else if (same(what, "mapped"))
		mapped(path);
	else if (same(what, "pipes"))
		pipes(path);
	else if (same(what, "sockets"))
		sockets();
	else if (same(what, "thp"))
		thp();
	else if (same(what, "collapse"))
		collapse(path);
	else if (same(what, "hugetlb"))
		hugetlb();
	else if (same(what, "ksm"))
		ksm();
	else if (same(what, "pageout"))
		pageout();
	else if (same(what, "compaction"))
		compaction();
	else if (same(what, "migrate"))
		migrate();
	else if (same(what, "pressure"))
		pressure();
	else
		done(1, "no such exercise", 0);
	leave(0);
}

/* What the compiler may call for a loop or an initializer. */
void *memset(void *at, int c, ulong n)
{
	for (ulong i = 0; i < n; i++)
		((volatile char *)at)[i] = (char)c;
	return at;
}

void *memcpy(void *to, const void *from, ulong n)
{
	for (ulong i = 0; i < n; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
	return to;
}

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall enter\n");
void enter(long *sp)
{
	begin(sp);
}
