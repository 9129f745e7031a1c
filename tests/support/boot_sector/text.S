# Copyright: (c) 2026, zstack.kvm contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints the text that follows it on COM1 every half second, and once on the screen. Runs wherever it was loaded.
# BX: the text. DI: 0 until the text has been on the screen.
	.code16
	.intel_syntax noprefix
	cli
	xor	ax, ax
	mov	ss, ax
	mov	sp, 0x7c00
	cld
	call	origin			# the address of the next instruction is then on the stack
origin:	pop	bx
	push	cs
	pop	ds
	.byte	0x81, 0xc3		# add bx, distance: with 16 bits, whatever the distance is
	.word	text - origin
	sti				# the timer of the BIOS ends each hlt
	xor	di, di
again:	mov	si, bx
next:	lodsb
	test	al, al
	jz	pause
	mov	cl, al
busy:	mov	dx, 0x3fd		# COM1's line status: is the transmitter free?
	in	al, dx
	test	al, 0x20
	jz	busy
	mov	dx, 0x3f8
	mov	al, cl
	out	dx, al
	test	di, di
	jnz	next
	mov	ah, 0x0e		# BIOS: write al to the screen
	push	bx
	mov	bx, 0x0007
	int	0x10
	pop	bx
	jmp	next
pause:	mov	di, 1
	mov	cx, 9			# ticks of the timer, of 18.2 a second
tick:	hlt
	loop	tick
	jmp	again
text:
