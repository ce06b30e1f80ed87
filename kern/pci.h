/* SPDX-License-Identifier: MIT
 *
 * The PCI bus: finds devices and hands them to their drivers.
 */
#ifndef KERN_PCI_H
#define KERN_PCI_H

#include "lib/types.h"

struct pci_device {
	u8 bus, slot, function;
	u16 vendor, device;
};

struct pci_driver {
	u16 vendor, device;
	void (*attach)(const struct pci_device *device);
};

/* Registers a driver; attach is called once for each of its devices, at boot. */
#define PCI_DRIVER(vendor, device, attach) \
	TABLE_ENTRY(drivers, struct pci_driver) driver_##attach = {vendor, device, attach}

/* Finds all devices and attaches their drivers. Context: once, at boot. */
void pci_init(void);

/* Read and write the configuration space; `offset` is a multiple of 4. */
u32 pci_read(const struct pci_device *device, u32 offset);
void pci_write(const struct pci_device *device, u32 offset, u32 value);

/* Lets the device answer to memory accesses and be a bus master. */
void pci_enable(const struct pci_device *device);

/* Offset of the next capability `id` behind `after` (0: from the start); 0 if none. */
u32 pci_capability(const struct pci_device *device, u8 id, u32 after);

/* Maps `bytes` of base address register `bar` (0 to 5), which must be memory,
 * from `offset` on; NULL if it isn't. Context: boot. */
volatile void *pci_map(const struct pci_device *device, u32 bar, u32 offset, u32 bytes);

/* Makes message-signalled interrupt `entry` of the device raise `vector`, and
 * turns such interrupts on. False if the device has no such entry. */
bool pci_msix(const struct pci_device *device, u32 entry, u32 vector);

#endif
