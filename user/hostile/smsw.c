/* SPDX-License-Identifier: MIT
 *
 * A guest can't read the machine's status word (UMIP).
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: smsw at", EXECUTE("smsw %%ax"))
