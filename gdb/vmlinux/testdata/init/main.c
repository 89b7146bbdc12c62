/*
 * A miniature kernel for the tests: inlining three deep, a .constprop clone, a cold part, a structure with everything in
 * it, and assembly with and without a size. See README.md for the commands. No part of Linux is in it.
 */
#include "list.h"

const char linux_banner[] = "Linux version 9.9.9-tiny (nobody@nowhere) (gcc) #1\n";

struct ring {
	struct node head;
	unsigned int state : 3, order : 5;
	union {
		int count;
		struct {
			short low, high;
		};
	};
	struct node slots[4];
	unsigned char map[2][8];
	const volatile long *where;
	char tail[];
};
typedef struct { int counter; } atomic_t;

struct ring ring;
atomic_t total;
volatile int sink;

static __attribute__((noinline)) int scaled(int v, int by)
{
	sink = v;
	return v * by + sink;
}

static inline __attribute__((always_inline)) void check(struct node *n)
{
	if (n->value != 1)
		__builtin_trap();
}

static inline __attribute__((always_inline)) void init_one(struct node *n)
{
	check(n);
	list_add(&ring.head, n);
}

__attribute__((noinline, cold)) void die(int code)
{
	for (;;)
		sink = code;
}

__attribute__((noinline)) int free_area_init(int n)
{
	int i, sum = 0;

	for (i = 0; i < n; i++) {
		init_one(&ring.slots[i & 3]);
		sum += scaled(i, 7);
	}
	if (__builtin_expect(sum < 0, 0)) {
		total.counter = sum;
		die(sum);
	}
	return sum + scaled(n, 7);
}

void start_kernel(void)
{
	sink = free_area_init(ring.count);
	die(1);
}

/* The section of a build id's note and the entry's labels: no C can make them. */
asm(".pushsection .text\n"
    ".globl startup_64\n"
    "startup_64:\n"
    "	nop\n"
    "inner_label:\n"
    "	jmp start_kernel\n"
    ".size startup_64, . - startup_64\n"
    ".globl unsized\n"
    "unsized:\n"
    "	hlt\n"
    "	jmp unsized\n"
    ".popsection\n");
