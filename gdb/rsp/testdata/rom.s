# A 64 KiB ROM for QEMU's -bios, seen at 0xf0000 and at 0xffff0000: enters long mode, wakes the other vCPUs, counts.
# Only the code is in rom.bin; the test fills up to 64 KiB and adds the reset vector.
#   as --64 -o rom.o rom.s && ld -Ttext=0 -o rom.elf rom.o && objcopy -O binary -j .text rom.elf rom.bin   (binutils 2.40)
# Fixed places (offsets): 0x200 long mode, 0x300 loop, 0x340 leaf, 0x380 triple fault, 0x3c0 halt
# Memory: 0x1000..0x4fff page tables (0..2 MiB and the APIC mapped, nothing else), 0x5000 counter, 0x6000 first-one flag
	.code16
start:	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movb $1, %al
	xchgb %al, 0x6000
	testb %al, %al
	jnz other
	movw $0x1000, %di
	movw $0x1000, %cx
	xorl %eax, %eax
	cld
	rep stosl
	movl $0x2003, 0x1000		# PML4[0]
	movl $0x3003, 0x2000		# PDPT[0]
	movl $0x4003, 0x2018		# PDPT[3]
	movl $0x83, 0x3000		# 2 MiB page at 0
	movl $0xfee00083, 0x4fb8	# 2 MiB page at 0xfee00000
	movl $0xa0, %eax
	movl %eax, %cr4
	movl $0x1000, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x100, %eax
	wrmsr
	lgdtl %cs:gdtr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	ljmpl $8, $0xf0000+0x200
other:	incw 0x6004
	pause
	jmp other
	.balign 8
gdt:	.quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr:	.word 23
	.long 0xf0000 + gdt
	.org 0x200
	.code64
long:	movl $16, %eax
	movl %eax, %ds
	movl %eax, %ss
	movl $0x8000, %esp
	movl $0xfee00300, %edi
	movl $0xc46f0, (%rdi)		# start-up IPI to all but this one, at 0xf0000
	jmp loop
	.org 0x300
loop:	incq 0x5000
	call leaf
	pause
	jmp loop
	.org 0x340
leaf:	movq 0x5000, %rax
	ret
	.org 0x380
triple:	lidt empty(%rip)
	ud2
empty:	.quad 0, 0
	.org 0x3c0
halt:	cli
	hlt
	jmp halt
