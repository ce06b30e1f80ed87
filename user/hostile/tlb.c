/* SPDX-License-Identifier: MIT
 *
 * A guest can't flush the processor's translations.
 */
#include "user/hostile/hostile.h"

DIES("excluded instruction: invlpg at", EXECUTE("invlpg 0x3000"))
