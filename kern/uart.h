/* SPDX-License-Identifier: MIT
 *
 * The serial port: bytes out, bytes in by interrupt.
 */
#ifndef KERN_UART_H
#define KERN_UART_H

#include "lib/types.h"

/* Sets the port up for polled output. Context: once, before anything prints. */
void uart_init(void);

/* Lets input come, by interrupt. Context: once, after the interrupt controllers. */
void uart_enable_input(void);

/* How many bytes uart_put takes now without waiting. */
u32 uart_room(void);

/* Sends one byte; waits while the port is busy, at most a bounded time. */
void uart_put(char c);

/* Sends `count` bytes, at most uart_room(). */
void uart_send(const char *bytes, u32 count);

/* Asks for one call of uart_sendable when the port has room again. */
void uart_await_room(void);

/* Called with interrupts off: console.c. */
void uart_sendable(void);

/* Called with each byte of input, interrupts off: monitor.c. */
void uart_received(char c);

#endif
