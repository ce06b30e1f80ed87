/* SPDX-License-Identifier: MIT
 *
 * Yours: state that your solutions keep per VM, and prototypes that they share.
 */
#ifndef KERN_LOCAL_H
#define KERN_LOCAL_H

struct vm_local {
};

#endif
