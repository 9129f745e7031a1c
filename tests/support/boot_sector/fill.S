# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Writes a number into every page from 1 MiB to 80 MiB, which needs a segment of 4 GiB; continues with the code that
# follows it. Must be loaded at 0:0x7c00.
	.code16
	.intel_syntax noprefix
	.set	load, 0x7c00
start:	cli
	xor	ax, ax
	mov	ds, ax
	lgdt	[load + size - start]
	mov	eax, cr0
	or	al, 1
	mov	cr0, eax		# protected mode
	mov	bx, 8
	mov	es, bx			# the only segment of the table
	and	al, 0xfe
	mov	cr0, eax		# real mode, in which es keeps its limit
	mov	edi, 0x100000
page:	mov	es:[edi], edi
	add	edi, 4096
	cmp	edi, 0x5000000
	jb	page
	jmp	end
size:	.word	15			# the size and address of the table
	.long	load + table - start
table:	.quad	0
	.quad	0x00cf92000000ffff
end:
