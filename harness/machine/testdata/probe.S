# The test guest of guest.go: a bzImage of three sectors whose real-mode setup goes through protected into long mode,
# leaves the virtual machine some thousand times, touches memory, and reports success by writing 0x2a to
# isa-debug-exit at port 0xf4. QEMU then exits with (0x2a << 1) | 1 = 85.
#
# as --64 -o probe.o probe.S && objcopy -O binary -j .text probe.o probe.bin
#
# linux/Documentation/arch/x86/boot.rst has the header. QEMU (hw/i386/x86.c, x86_load_linux) loads the setup at 0x10000
# and its option ROM jumps to 0x1020:0, which is start.
	.set base, 0x10000
	.text
image:
	.org	0x1f1
	.byte	1			# setup_sects: one after the boot sector
	.org	0x1fe
	.word	0xaa55
	.code16
start:
	.byte	0xeb, 0x6a		# jmp start16, over the header
	.ascii	"HdrS"
	.word	0x020c			# protocol 2.12
	.org	0x211
	.byte	1			# loadflags: LOADED_HIGH
	.org	0x214
	.long	0x100000		# code32_start
	.org	0x22c
	.long	0x7fffffff		# initrd_addr_max
	.org	0x238
	.long	2047			# cmdline_size
	.org	0x26c
start16:
	cli
	cld
	lgdtl	%cs:(gdtr - start)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$0x08, $(base + (start32 - image))
	.code32
start32:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$0x1000, %edi		# page tables at 0x1000, zeroed: 2 MiB mapped one to one
	movl	$0xc00, %ecx
	xorl	%eax, %eax
	rep stosl
	movl	$0x2003, 0x1000
	movl	$0x3003, 0x2000
	movl	$0x0083, 0x3000
	movl	%cr4, %eax
	orl	$0x20, %eax		# PAE
	movl	%eax, %cr4
	movl	$0x1000, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	# EFER.LME
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	ljmpl	$0x18, $(base + (start64 - image))
	.code64
start64:
	movl	$0x8000, %esp
	movl	$1000, %ebp		# exits to QEMU, and exits that KVM handles itself
again:
	inb	$0x71, %al
	xorl	%eax, %eax
	cpuid
	decl	%ebp
	jnz	again
	movl	$0x100000, %edi		# all pages of the second MiB
	movl	$0x40000, %ecx
	movl	$0x5a5a5a5a, %eax
	rep stosl
	movabsq	$0x0123456789abcdef, %rax
	pushq	%rax
	popq	%rbx
	cmpq	%rax, %rbx
	jne	stop
	movb	$0x2a, %al
	outb	%al, $0xf4
stop:
	hlt
	jmp	stop
	.balign 8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	# 0x08 32-bit code
	.quad	0x00cf93000000ffff	# 0x10 data
	.quad	0x00af9b000000ffff	# 0x18 64-bit code
gdtr:
	.word	. - gdt - 1
	.long	base + (gdt - image)
	.org	0x600
