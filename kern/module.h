/* SPDX-License-Identifier: MIT
 *
 * Boot modules: guest images, each with the VMs that are to be made of it, and
 * files for the supervisor. A module's string says what it is:
 *
 *   path WORD... -- ARGUMENTS
 *
 *   count=N, mem=SIZE   N VMs of that much memory
 *   disk=NAME           each gets this virtual disk; % stands for 1 to N
 *   supervisor          the image is VM 0's
 *   image               no VM is made: the supervisor makes them
 *   data, script        no image: the supervisor reads it; it is its boot script
 *   ramdisk             no image: what disk=ram begins with
 */
#ifndef KERN_MODULE_H
#define KERN_MODULE_H

#include "kern/image.h"
#include "lib/abi.h"
#include "lib/types.h"

enum module_kind {
	MODULE_VMS,
	MODULE_SUPERVISOR,
	MODULE_IMAGE,
	MODULE_DATA,
	MODULE_SCRIPT,
	MODULE_RAMDISK,
};

struct module {
	struct image image;   /* what isn't one has name, file and length alone */
	char name[NAME_SIZE]; /* the last part of the path, cut to fit */
	enum module_kind kind;
	u32 count;       /* of VMs; 0 if there is something wrong with it */
	u32 memory_size; /* bytes, a multiple of PAGE_SIZE */
	const char *args;
	const char *disks[DISKS_PER_VM]; /* each up to a space or the end */
	u32 disk_count;
	const char *bad; /* what is wrong with it; NULL if nothing is */
};

/* In the order of the boot loader's command line. */
extern struct module *modules;
extern u32 module_count;

/* Memory of a VM, in bytes. */
#define VM_MEMORY_MIN     (64u << 10)
#define VM_MEMORY_MAX     (48u << 20)
#define VM_MEMORY_DEFAULT (16u << 20)

/* Reads the modules' strings and checks the images. Context: boot, after kmap_init. */
void modules_read(void);

/* The good image with this name, the first if there are several; NULL if there is none. */
const struct module *module_of_image(const char *name);

/* The module that the image is part of. */
const struct module *module_with(const struct image *image);

/* Does a module hold an image? */
bool module_is_image(const struct module *module);

#endif
