/* SPDX-License-Identifier: MIT
 *
 * A guest can't write a model-specific register: this one would open sysenter.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: wrmsr at",
     EXECUTE("movl $0x174, %%ecx; movl $8, %%eax; xorl %%edx, %%edx; wrmsr"))
