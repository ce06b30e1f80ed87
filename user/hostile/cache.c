/* SPDX-License-Identifier: MIT
 *
 * A guest can't throw the processor's caches away.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: wbinvd at", EXECUTE("wbinvd"))
