/* SPDX-License-Identifier: MIT
 *
 * PCI by configuration mechanism 1 [PCI 3.0, 3.2.2.3.2]. The firmware has
 * given every device its addresses; this file only reads them.
 */
#include "kern/kernel.h"
#include "kern/kmap.h"
#include "kern/lapic.h"
#include "kern/pci.h"
#include "kern/x86.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  (1u << 31)

#define REG_ID              0x00
#define REG_COMMAND         0x04
#define COMMAND_MEMORY      (1u << 1)
#define COMMAND_MASTER      (1u << 2)
#define COMMAND_NO_INTX     (1u << 10)
#define STATUS_CAPABILITIES (1u << 20)
#define REG_HEADER          0x0c
#define HEADER_MULTI        (1u << 23)
#define REG_BAR(n)          (0x10 + 4 * (n))
#define BAR_IO              1u
#define BAR_64              4u
#define REG_CAPABILITIES    0x34

#define CAP_MSIX        0x11
#define MSIX_ENABLE     (1u << 31)
#define MSIX_MASK_ALL   (1u << 30)
#define MSIX_ENTRY_SIZE 16

u32
pci_read(const struct pci_device *d, u32 offset)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | (u32)d->bus << 16 | (u32)d->slot << 11 |
				     (u32)d->function << 8 | offset);
	return inl(CONFIG_DATA);
}

void
pci_write(const struct pci_device *d, u32 offset, u32 value)
{
	outl(CONFIG_ADDRESS, CONFIG_ENABLE | (u32)d->bus << 16 | (u32)d->slot << 11 |
				     (u32)d->function << 8 | offset);
	outl(CONFIG_DATA, value);
}

void
pci_enable(const struct pci_device *d)
{
	u32 command = pci_read(d, REG_COMMAND) & 0xffff;

	pci_write(d, REG_COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX);
}

u32
pci_capability(const struct pci_device *d, u8 id, u32 after)
{
	u32 at = after ? pci_read(d, after) >> 8 : pci_read(d, REG_CAPABILITIES);

	if (!(pci_read(d, REG_COMMAND) & STATUS_CAPABILITIES))
		return 0;
	/* The list can't be longer than the space; a loop in it must end. */
	for (int i = 0; i < 48 && (at & 0xfc) >= 0x40; i++) {
		at &= 0xfc;
		if ((pci_read(d, at) & 0xff) == id)
			return at;
		at = pci_read(d, at) >> 8;
	}
	return 0;
}

volatile void *
pci_map(const struct pci_device *d, u32 bar, u32 offset, u32 bytes)
{
	u32 low = bar < 6 ? pci_read(d, REG_BAR(bar)) : BAR_IO;
	u64 address = low & ~0xfu;

	if (low & BAR_IO)
		return NULL;
	if (low & BAR_64 && bar < 5)
		address |= (u64)pci_read(d, REG_BAR(bar + 1)) << 32;
	return address ? kmap_device(address + offset, bytes) : NULL;
}

bool
pci_msix(const struct pci_device *d, u32 entry, u32 vector)
{
	u32 cap = pci_capability(d, CAP_MSIX, 0);
	u32 control, table;
	volatile u32 *slot;

	if (!cap)
		return false;
	control = pci_read(d, cap);
	table = pci_read(d, cap + 4);
	if (entry > (control >> 16 & 0x7ff))
		return false;
	slot = pci_map(d, table & 7, (table & ~7u) + entry * MSIX_ENTRY_SIZE, MSIX_ENTRY_SIZE);
	if (!slot)
		return false;
	slot[0] = MSI_ADDRESS;
	slot[1] = 0;
	slot[2] = vector;
	slot[3] = 0; /* not masked */
	pci_write(d, cap, (control & ~MSIX_MASK_ALL) | MSIX_ENABLE);
	return true;
}

static void
attach(const struct pci_device *device)
{
	TABLE_FOR(drivers, struct pci_driver, driver)
	{
		if (driver->vendor == device->vendor && driver->device == device->device)
			driver->attach(device);
	}
}

static void
scan_slot(struct pci_device at)
{
	u32 functions = 1;

	for (u32 f = 0; f < functions; f++) {
		u32 id;

		at.function = (u8)f;
		id = pci_read(&at, REG_ID);
		if ((id & 0xffff) == 0xffff)
			continue;
		if (f == 0 && pci_read(&at, REG_HEADER) & HEADER_MULTI)
			functions = 8;
		at.vendor = (u16)id;
		at.device = (u16)(id >> 16);
		attach(&at);
	}
}

void
pci_init(void)
{
	for (u32 bus = 0; bus < 256; bus++)
		for (u32 slot = 0; slot < 32; slot++)
			scan_slot((struct pci_device){.bus = (u8)bus, .slot = (u8)slot});
}
