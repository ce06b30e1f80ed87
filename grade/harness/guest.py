# SPDX-License-Identifier: MIT
"""A test's own guests, compiled from a few lines of C on top of grade/guest/guest.h."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from grade.harness.verdict import Infrastructure

_FOLDER = Path("grade/guest")
_CFLAGS = (
    "-m32 -march=i686 -mgeneral-regs-only -ffreestanding -std=gnu11 -O1 -g -Wall -Wextra -Werror "
    "-fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib -I. "
    "-Wno-unused-function -include grade/guest/guest.h"
).split()


def build(source: str, folder: Path) -> Path:
    """Compile the C text `source`, which defines `run`; the image, with symbols, is in `folder`.

    Must be called from the project's folder. A text that doesn't compile is a fault of the test.
    """
    text, image = folder / "guest.c", folder / "guest"
    text.write_text(source)
    line = [os.environ.get("DENALI_CC", "gcc"), *_CFLAGS, "-static", "-Wl,-m,elf_i386"]
    line += ["-Wl,--build-id=none", "-Wl,-z,max-page-size=4096"]
    line += ["-Wl,-T," + str(_FOLDER / "guest.ld")]
    result = subprocess.run(
        [*line, "-o", str(image), str(text)], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise Infrastructure(f"a test's guest doesn't compile:\n{result.stderr}")
    return image
