// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that faults as it is told, for the tests of kcatch.
 *
 *	modprobe kcatch_mod fault=null-write		while it is being loaded: its init function is on the stack
 *	echo bug >/sys/module/kcatch_mod/parameters/trigger	later, when its .init.text is gone
 *
 * The faults: null-write (two inlined functions deep), bug, warn, null-call, panic (of the kernel, called from here), spin.
 */
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/string.h>

struct kcatch_record {
	char pad[0x30];
	long value;
};

static struct kcatch_record *volatile kcatch_nowhere;
static void (*volatile kcatch_nothing)(void);
static volatile int kcatch_one = 1;

static __always_inline void kcatch_mod_store_inner(struct kcatch_record *r, long v)
{
	r->value = v;
}

static __always_inline void kcatch_mod_store_outer(struct kcatch_record *r)
{
	kcatch_mod_store_inner(r, 7);
}

static noinline void kcatch_mod_null_write(void)
{
	kcatch_mod_store_outer(kcatch_nowhere);
	barrier();
}

static noinline void kcatch_mod_bug(void)
{
	BUG_ON(kcatch_one);
}

static noinline void kcatch_mod_warn(void)
{
	WARN_ON(kcatch_one);
}

static noinline void kcatch_mod_null_call(void)
{
	kcatch_nothing();
	barrier();
}

static noinline void kcatch_mod_panic(void)
{
	panic("kcatch_mod wants it");
}

static noinline void kcatch_mod_spin(void)
{
	local_irq_disable();
	while (kcatch_one)
		;
}

static noinline int kcatch_mod_fault(const char *fault)
{
	if (sysfs_streq(fault, "null-write"))
		kcatch_mod_null_write();
	else if (sysfs_streq(fault, "bug"))
		kcatch_mod_bug();
	else if (sysfs_streq(fault, "warn"))
		kcatch_mod_warn();
	else if (sysfs_streq(fault, "null-call"))
		kcatch_mod_null_call();
	else if (sysfs_streq(fault, "panic"))
		kcatch_mod_panic();
	else if (sysfs_streq(fault, "spin"))
		kcatch_mod_spin();
	else
		return -EINVAL;
	return 0;
}

static int kcatch_mod_trigger(const char *val, const struct kernel_param *kp)
{
	int err = kcatch_mod_fault(val);

	barrier();
	return err;
}

static const struct kernel_param_ops kcatch_mod_trigger_ops = { .set = kcatch_mod_trigger };
module_param_cb(trigger, &kcatch_mod_trigger_ops, NULL, 0200);

static char *fault = "";
module_param(fault, charp, 0);

static int __init kcatch_mod_init(void)
{
	int err = *fault ? kcatch_mod_fault(fault) : 0;

	barrier(); /* no tail call: the chain is to show this function */
	return err;
}

static void __exit kcatch_mod_exit(void)
{
}

module_init(kcatch_mod_init);
module_exit(kcatch_mod_exit);
MODULE_DESCRIPTION("faults on demand");
MODULE_LICENSE("GPL");
