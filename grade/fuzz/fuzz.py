#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make fuzz: random guests, virtual instructions, register pages, images and frames.

    fuzz.py --build DIR --cases N --seed S [--batch B] [--kind KIND]

Cases run in batches, one boot each (grade/fuzz/batches.py). The same seed gives the same cases. A
finding is printed with the command that reruns its batch alone. The last line is "N cases, N
findings"; the exit status is 1 if there are findings.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from grade.fuzz.batches import Batch, Fuzzer, Outcome, batches  # noqa: E402
from grade.harness.entry import Entries  # noqa: E402
from grade.harness.verdict import Infrastructure  # noqa: E402


def report(batch: Batch, outcome: Outcome, cases: int) -> None:
    """Print what was found in a batch."""
    for finding in outcome.findings:
        print(f"FINDING in batch {batch.number} ({batch.kind}): {finding}")
        print(f"  again: make fuzz CASES={cases} SEED={batch.seed} BATCH={batch.number}")


def attempt(fuzzer: Fuzzer, batch: Batch) -> Outcome:
    """Run a batch, once more if the harness couldn't judge."""
    try:
        return fuzzer.run(batch)
    except Infrastructure as problem:
        print(f"batch {batch.number}: {problem}; again", file=sys.stderr)
        return fuzzer.run(batch)


def main() -> int:
    """Run the batches that were asked for."""
    parser = argparse.ArgumentParser(description="Fuzz the kernel.")
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build folder")
    parser.add_argument("--cases", type=int, default=20000, help="how many cases (20000)")
    parser.add_argument("--seed", type=int, default=7, help="what they are drawn from (7)")
    parser.add_argument("--batch", type=int, help="run only this batch")
    parser.add_argument("--kind", help="run only batches of this kind, such as pressure")
    options = parser.parse_args()
    chosen = batches(options.seed, options.cases)
    if options.batch is not None:
        chosen = [batch for batch in chosen if batch.number == options.batch]
    if options.kind is not None:
        chosen = [batch for batch in chosen if batch.kind == options.kind]
    fuzzer = Fuzzer(options.build, options.build / "grade/fuzz")
    cases = findings = 0
    longest: Entries | None = None
    start = time.monotonic()
    try:
        for batch in chosen:
            outcome = attempt(fuzzer, batch)
            report(batch, outcome, options.cases)
            cases += outcome.cases
            findings += len(outcome.findings)
            entries = outcome.entries
            if entries and (longest is None or entries.longest > longest.longest):
                longest = entries
            rate = cases / (time.monotonic() - start)
            print(f"batch {batch.number}: {batch.kind}, {cases} cases, {rate:.0f} a second", flush=True)
    finally:
        fuzzer.close()
    if longest:
        print(longest)
    print(f"{cases} cases, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
