/* SPDX-License-Identifier: MIT
 *
 * Interrupt controllers: the local APIC, and the I/O APIC for the one old
 * device (the serial port) that can't send message-signalled interrupts.
 */
#ifndef KERN_LAPIC_H
#define KERN_LAPIC_H

#include "lib/types.h"

/* Silences the 8259s, enables the local APIC. Context: once, at boot. */
void lapic_init(void);

/* Ends the interrupt that is being handled: others of its priority may come. */
void lapic_eoi(void);

/* Starts the one-shot timer: VECTOR_TIMER comes after `ticks` (1 to 2^32 - 1)
 * of the APIC's clock, in place of whatever was set before. */
void lapic_timer_start(u32 ticks);

/* Ticks left of a running timer. */
u32 lapic_timer_left(void);

/* Sends the ISA interrupt `irq` (0 to 15) to `vector`. */
void ioapic_route(u32 irq, u32 vector);

/* Address and data of a message that raises `vector` [SDM3 10.11]. */
#define MSI_ADDRESS 0xfee00000u

#endif
