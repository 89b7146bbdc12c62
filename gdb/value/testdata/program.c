/*
 * Objects and conditions for the tests of expressions and of text: what gcc computes is what kcatch has to compute, and what gdb
 * prints is compared with its text. It is compiled without a library.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long size_t;
typedef _Bool bool;
typedef struct { int counter; } atomic_t;
typedef struct refcount_struct { atomic_t refs; } refcount_t;
typedef unsigned int gfp_t;

struct list_head { struct list_head *next, *prev; };
enum color { RED, GREEN = 5, BLUE = -1 };
enum bits { BIT_A = 1, BIT_B = 2, BIT_C = 8 };

struct inner {
	unsigned int low:3, high:13;
	int sign:5;
	unsigned long wide:40;
	char c;
};

struct page {
	unsigned long flags;
	union {
		struct { struct list_head lru; unsigned long index; };
		unsigned long compound_head;
		struct { void *slab; char tag[8]; };
	};
	union { atomic_t _mapcount; unsigned int page_type; };
	refcount_t _refcount;
};

struct object {
	const char *name;
	char comm[16];
	u8 mac[6];
	bool ready;
	enum color color;
	enum bits bits;
	struct page *page;
	int (*callback)(struct object *, long);
	void *error;
	struct inner in;
	short numbers[4];
	int same[20];
	int matrix[2][3];
	struct list_head list;
	gfp_t gfp_mask;
	unsigned char raw[4];
	int flexible[];
};

struct page pages[3] = {
	{ .flags = 0x1000, .lru = { &pages[1].lru, &pages[1].lru }, .index = 7, ._mapcount = { -1 }, ._refcount = { { 1 } } },
	{ .flags = 3, .compound_head = (unsigned long)&pages[0] + 1, ._refcount = { { 2 } } },
	{ .flags = ~0UL, },
};

int callback(struct object *o, long n) { return n + o->matrix[1][2]; }

struct object object = {
	.name = "an \"object\"\n", .comm = "swapper/0", .mac = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, .ready = 1, .color = GREEN,
	.bits = BIT_A | BIT_C, .page = pages, .callback = callback, .error = (void *)-12L,
	.in = { .low = 5, .high = 4097, .sign = -3, .wide = 0x8123456789UL, .c = 'x' },
	.numbers = { -1, 2, -3, 4 }, .same = { [3] = 9, [4] = 9, [5] = 9 }, .matrix = { { 1, 2, 3 }, { 4, 5, 6 } },
	.list = { &object.list, &object.list }, .gfp_mask = 0xdc0,
};

struct object *pointer = &object, *nothing;
int minus = -7, seven = 7;
unsigned int big = 0xfffffff0u;
long large = 1L << 40;
unsigned char byte = 200;
signed char negative = -100;
const volatile char *const words[2] = { "one", "two" };
double half = 0.5;

static long syscall(long n, long a, const void *b, long c)
{
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

long results[400];

/* Writes the conditions' values to standard output. */
void _start(void)
{
#ifdef CONDITIONS
#include "conditions.inc" /* of TestArithmetic: results[0] = (long)(minus); ... */
#endif
	syscall(1, 1, results, sizeof(results));
	syscall(60, 0, 0, 0);
	pointer->callback(pointer, half);
}
