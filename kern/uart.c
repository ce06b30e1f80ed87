/* SPDX-License-Identifier: MIT
 *
 * The 16550 serial port [PC16550D].
 */
#include "kern/kernel.h"
#include "kern/lapic.h"
#include "kern/trap.h"
#include "kern/uart.h"
#include "kern/work.h"
#include "kern/x86.h"

#define COM1       0x3f8
#define COM1_IRQ   4
#define REG_DATA   0
#define REG_IER    1
#define IER_INPUT  0x01
#define IER_ROOM   0x02
#define REG_FCR    2
#define FCR_ENABLE 0x07 /* FIFOs on and cleared, interrupt at the first byte */
#define REG_LCR    3
#define LCR_8N1    0x03
#define LCR_DLAB   0x80
#define REG_MCR    4
#define MCR_READY  0x0b /* DTR, RTS, and OUT2, which lets interrupts through */
#define REG_LSR    5
#define LSR_INPUT  0x01
#define LSR_ROOM   0x20
#define DIVISOR    1  /* 115,200 baud */
#define INPUT_MAX  64 /* bytes taken in one interrupt */
#define FIFO_SIZE  16 /* bytes that an empty transmitter takes */
#define PATIENCE   100000

static bool input_on;

void
uart_init(void)
{
	outb(COM1 + REG_IER, 0);
	outb(COM1 + REG_LCR, LCR_DLAB | LCR_8N1);
	outb(COM1 + REG_DATA, DIVISOR);
	outb(COM1 + REG_IER, 0);
	outb(COM1 + REG_LCR, LCR_8N1);
	outb(COM1 + REG_FCR, FCR_ENABLE);
	outb(COM1 + REG_MCR, MCR_READY);
}

void
uart_enable_input(void)
{
	ioapic_route(COM1_IRQ, VECTOR_UART);
	input_on = true;
	outb(COM1 + REG_IER, IER_INPUT);
}

u32
uart_room(void)
{
	return inb(COM1 + REG_LSR) & LSR_ROOM ? FIFO_SIZE : 0;
}

void
uart_put(char c)
{
	for (int i = 0; i < PATIENCE && !(inb(COM1 + REG_LSR) & LSR_ROOM); i++)
		;
	outb(COM1 + REG_DATA, (u8)c);
}

void
uart_send(const char *bytes, u32 count)
{
	while (count-- > 0)
		outb(COM1 + REG_DATA, (u8)*bytes++);
}

void
uart_await_room(void)
{
	if (input_on)
		outb(COM1 + REG_IER, IER_INPUT | IER_ROOM);
}

/* Takes some input; true if there is more. The interrupt is an edge: whoever
 * leaves input behind has to come back for it. */
static bool
take_input(struct work *work)
{
	(void)work;
	for (int i = 0; i < INPUT_MAX; i++) {
		if (!(inb(COM1 + REG_LSR) & LSR_INPUT))
			return false;
		uart_received((char)inb(COM1 + REG_DATA));
	}
	return true;
}

static struct work input_work = {.run = take_input};

static void
uart_interrupt(struct trapframe *frame)
{
	(void)frame;
	lapic_eoi();
	if (take_input(&input_work))
		work_add(&input_work);
	if (inb(COM1 + REG_LSR) & LSR_ROOM) {
		outb(COM1 + REG_IER, IER_INPUT);
		uart_sendable();
	}
}

TRAP(VECTOR_UART, uart_interrupt);
