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

/* Sends one byte; waits while the port is busy, at most a bounded time. */
void uart_put(char c);

/* Called with each byte of input, interrupts off: monitor.c. */
void uart_received(char c);

#endif
