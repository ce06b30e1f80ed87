#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the hosted kernel and its world (world.h), and runs it: `make world EVENTS=... SEED=...`.

A process of its own kind: 32 bits, no C library, at the addresses that the kernel uses. The compiler's
checks for undefined behaviour are on; what they find is a trap.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent

FLAGS = (
    "-m32 -march=i686 -mgeneral-regs-only -ffreestanding -std=gnu11 -O1 -g -Wall -Wextra"
    " -Wstrict-prototypes -Wmissing-prototypes -Werror -fno-pic -fno-stack-protector"
    " -fno-strict-aliasing -fno-common -DLAB=7"
).split()
# Alignment: the record of a VM is found from its parts, and words of guests' frames from bytes.
CHECKS = {
    "gcc": "-fsanitize=undefined -fno-sanitize=alignment -fsanitize-undefined-trap-on-error".split(),
    "clang": "-fsanitize=undefined -fno-sanitize=alignment,function -fsanitize-trap=undefined".split(),
}
LINK = "-m32 -nostdlib -static -no-pie -Wl,-Ttext-segment=0x40100000 -Wl,-z,noexecstack".split()

# The kernel, but for what drives hardware, talks to the outside, or is made up by the world.
KERNEL = """
    state vm vmstart vmswap space frame resident backing cow image swap swapmap swapdisk swapinit evict
    wsclock replace_clock gatekeeper gate_all gate_fifo gate_heat sched sched_rr sched_plain sched_turn quantum timerq deadline
    work virq idle run trap classify guesttrap isa gate guestpage door discard vregs vrefresh block trace vdisk_check check
    checkvm
""".split()
LIBRARY = "string format div64 chacha20 crc32".split()


def sources() -> list[str]:
    """All that is compiled, as paths from the top."""
    return [
        *(f"kern/{name}.c" for name in KERNEL),
        *(f"lib/{name}.c" for name in LIBRARY),
        *sorted(str(path.relative_to(ROOT)) for path in HERE.glob("*.c")),
    ]


def compile_one(cc: str, source: str, path: Path, output: Path) -> None:
    """Compile what `path` holds as if it were `source`."""
    checks = [] if source.startswith("lib/") else CHECKS[cc]
    places = [f"-I{HERE}/include", f"-I{ROOT}", f"-iquote{ROOT / 'kern'}"]
    command = [cc, *FLAGS, *checks, *places, "-c", str(path), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")


def build(folder: Path, cc: str = "gcc", changed: Mapping[str, str] | None = None) -> Path:
    """The world's program. Sources in `changed` have that text instead; the others' objects, if
    `folder` has them, are those of the last build."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = dict(changed or {})
    objects: list[Path] = []
    jobs: list[tuple[str, Path, Path]] = []
    for source in sources():
        name = source.replace("/", "_")
        output = folder / f"{name}.o"
        path = ROOT / source
        if source in texts:
            path = folder / f"changed_{name}"
            output = folder / f"changed_{name}.o"
            path.write_text(texts[source])
        elif changed is not None and output.exists():
            objects.append(output)
            continue
        objects.append(output)
        jobs.append((source, path, output))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda job: compile_one(cc, *job), jobs))
    program = folder / ("changed" if texts else "world")
    subprocess.run([cc, *LINK, "-o", str(program), *map(str, objects)], check=True)
    return program


def main() -> int:
    """Build, run, and pass on how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--events", type=int, default=1000000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("options", nargs="*", help="NAME=VALUE (host.c), or the kernel's options")
    wish = parser.parse_args()
    program = build(wish.build / "grade/world", wish.cc)
    command = [str(program), str(wish.seed), str(wish.events), *wish.options]
    print(" ".join(command), flush=True)
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
