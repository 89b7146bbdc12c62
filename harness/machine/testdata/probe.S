# The test guest of guest.go: a bzImage of three sectors whose real-mode setup goes through protected into long mode, does
# three rounds of work between four marks, twice, and reports success by writing 0x2a to isa-debug-exit at port 0xf4. QEMU
# then exits with (0x2a << 1) | 1 = 85. Breakpoints at the marks are hit once each, if they are taken out at the last.
#
# The work is what kernels do when they boot, in their proportions: computing in memory, an access to a device that QEMU
# emulates every 20 us under TCG (6.1, tiny, makes 27,600 of them to the serial line in a boot of 0.6 s), and now and then a
# CPUID, an access to the local APIC and a change of page tables. It lies on another page than the marks, because TCG goes
# through the page of a breakpoint one instruction at a time.
#
# as --64 -o probe.o probe.S && objcopy -O binary -j .text probe.o probe.bin
#
# linux/Documentation/arch/x86/boot.rst has the header. QEMU (hw/i386/x86.c, x86_load_linux) loads the setup at 0x10000
# and its option ROM jumps to 0x1020:0, which is start; it loads what follows the setup, which is work, at 0x100000.
	.set base, 0x10000
	.set work, 0x100000
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
	.long	work			# code32_start
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
	movl	$0x1000, %edi		# page tables at 0x1000, zeroed: mapped one to one are
	movl	$0x1000, %ecx
	xorl	%eax, %eax
	rep stosl
	movl	$0x2003, 0x1000
	movl	$0x3003, 0x2000
	movl	$0x4003, 0x2018
	movl	$0x0083, 0x3000		# the first 2 MiB
	movl	$0xfee00083, 0x4fb8	# and those of the local APIC
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
	movl	$work, %ebx
	movl	$2, %ebp
mark1:	call	*%rbx
mark2:	call	*%rbx
mark3:	call	*%rbx
mark4:	decl	%ebp
	jnz	mark1
	movl	$0x101000, %edi		# all pages of the second MiB but the work's
	movl	$0x3fc00, %ecx
	movl	$0x5a5a5a5a, %eax
	rep stosl
	movabsq	$0x0123456789abcdef, %rax
	pushq	%rax
	popq	%rdx
	cmpq	%rax, %rdx
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
	.org	0x400
	movq	%rbx, %r8		# cpuid takes it
	movl	$0x140000, %edi
	movl	$512, %esi
turn:
	inb	$0x71, %al		# the clock's, by way of QEMU
	testb	$7, %sil
	jnz	compute
	xorl	%eax, %eax
	cpuid				# KVM's own
	movl	$0xfee00030, %eax
	movl	(%rax), %eax		# the local APIC's version
	movq	%cr3, %rax
	movq	%rax, %cr3
compute:
	movl	$3000, %ecx
sum:
	addq	(%rdi,%rcx,8), %rax
	rolq	$3, %rax
	movq	%rax, (%rdi,%rcx,8)
	decl	%ecx
	jnz	sum
	decl	%esi
	jnz	turn
	movq	%r8, %rbx
	ret
	.org	0x600
