# SPDX-License-Identifier: MIT
"""Exercise 1.3: page directories that `kmap_build` and `kmap_window` fill, word by word, and one
that the processor runs on, seen through QEMU's own walk."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from grade.graded.bench import Bench
from grade.graded.calls import Address, Calls, Results, wide
from grade.graded.marks import exercise, points, rule
from grade.harness.memory import KERNEL_BASE, PAGE
from grade.harness.verdict import holds, same

pytestmark = exercise("1.3")

SECTION = "lab1.html#exercise-1-3"
ENTRIES = 1024
LARGE = 1 << 22
MB = 1 << 20
FIRST = KERNEL_BASE >> 22  # entry
RAM_LIMIT = 0xB0000000
DEVICES = range(0xF0000000, 0xFFC00000, LARGE)

# A directory entry [SDM3 4.3]. The processor may set A and D, software too: they don't matter.
P, W, U, PWT, PCD, A, D, PS, G = (1 << n for n in range(9))
_PLACE = 0xFFC00000
_NAMES = {P: "P", W: "W", U: "U", PWT: "PWT", PCD: "PCD", PS: "PS", G: "G"}


def bits(entry: int) -> str:
    """The bits of an entry by name, as in P|W|PS."""
    named = "|".join(name for bit, name in _NAMES.items() if entry & bit) or "0"
    rest = entry & ~_PLACE & ~(A | D) & ~sum(_NAMES)
    return named + (f"|{rest:#x}" if rest else "")


def some_ends(rng: random.Random) -> list[int]:
    """Where RAM may end: round, odd, tiny, beyond what is used."""
    ends = [16 * MB, 64 * MB, 64 * MB + PAGE, 64 * MB - PAGE, PAGE, LARGE, 127 * MB]
    ends += [RAM_LIMIT, RAM_LIMIT - PAGE, RAM_LIMIT + PAGE, 0xFFFFF000]
    return ends + [rng.randrange(1, RAM_LIMIT >> 12) << 12 for _ in range(8)]


def pages_of(end: int) -> int:
    """How many large pages cover RAM up to there."""
    return -(-min(end, RAM_LIMIT) // LARGE)


class Built:
    """Directories that kmap_build filled, over rubbish."""

    def __init__(self, bench: Bench) -> None:
        self.calls = Calls(bench)
        self.asked = [(end, glob) for end in some_ends(bench.rng) for glob in (False, True)]
        self._places: list[Address] = []
        self._behind: list[int] = []  # a word that is no part of the directory
        for end, glob in self.asked:
            rubbish = [bench.rng.getrandbits(32) for _ in range(ENTRIES + 1)]
            self._places.append(self.calls.words(rubbish, align=PAGE))
            self._behind.append(rubbish[ENTRIES])
            self.calls.call("kmap_build", self._places[-1], end, glob)

    def directories(self) -> list[tuple[int, bool, list[int]]]:
        """Where RAM ended, whether global, the entries. Each has its first page right: a witness
        for tests that look at what isn't there."""
        results = self.calls.run()
        found = []
        for (end, glob), place, behind in zip(self.asked, self._places, self._behind):
            *entries, after = results.words(place, ENTRIES + 1)
            same("the word behind the directory, for kmap_build", after, behind)
            holds(entries[FIRST] & (P | PS) == P | PS and entries[FIRST] & _PLACE == 0,
                  f"RAM's first 4 MB are a large page at {KERNEL_BASE:#x} (RAM ends at {end:#x})",
                  f"entry {FIRST}: P|W|PS, place 0", f"entry {FIRST}: {entries[FIRST]:#010x}")  # fmt: skip
            found.append((end, glob, entries))
        return found


@points(5)
@rule(
    "All of RAM below RAM_LIMIT is mapped, by large pages, at KERNEL_BASE plus its address.",
    section=SECTION,
    breakpoint="kmap_build",
)
def test_all_of_ram_is_mapped(bench: Bench) -> None:
    """The kernel reaches a frame by adding a constant: one page too few, and the last RAM faults."""
    for end, _, entries in Built(bench).directories():
        for i in range(pages_of(end)):
            entry = entries[FIRST + i]
            same(f"bits P and PS of entry {FIRST + i}, with RAM up to {end:#x}", entry & (P | PS), P | PS)
            same(f"where entry {FIRST + i} leads, with RAM up to {end:#x}", entry & _PLACE, i * LARGE)


@points(5)
@rule(
    "Nothing else is mapped: no null page, nothing beyond RAM, whatever was in the directory.",
    section=SECTION,
    breakpoint="kmap_build",
)
def test_nothing_else_is_mapped(bench: Bench) -> None:
    """A null pointer that works hides a bug for years; a mapping where no RAM is lies to everyone."""
    for end, _, entries in Built(bench).directories():
        mapped = range(FIRST, FIRST + pages_of(end))
        wrong = [i for i, entry in enumerate(entries) if i not in mapped and entry]
        shown = ", ".join(f"entry {i}: {entries[i]:#010x}" for i in wrong[:4])
        holds(not wrong, f"all other entries, with RAM up to {end:#x}", "0", shown)


@points(4)
@rule(
    "The kernel's pages are supervisor, writable, cached, and global if the processor can.",
    section=SECTION,
    breakpoint="kmap_build",
)
def test_no_guest_can_touch_the_kernel(bench: Bench) -> None:
    """One bit, U, is all that stands between a guest and every byte of the machine."""
    for end, glob, entries in Built(bench).directories():
        expected = bits(P | W | PS | (G if glob else 0))
        for i in range(FIRST, FIRST + pages_of(end)):
            what = f"bits of entry {i}, with RAM up to {end:#x}, global={int(glob)}"
            same(what, bits(entries[i]), expected)


@points(3)
@rule(
    "A device's window is supervisor, writable, uncached and global; no other entry changes.",
    section=SECTION,
    breakpoint="kmap_window",
)
def test_device_windows_are_uncached(bench: Bench) -> None:
    """A register of a device that is cached is read once, and then never changes."""
    rng, calls = bench.rng, Calls(bench)
    cases = []
    for _ in range(20):
        before = [rng.getrandbits(32) for _ in range(ENTRIES)]
        at, device = rng.choice(DEVICES), rng.randrange(ENTRIES) * LARGE
        place, glob = calls.words(before, align=PAGE), rng.random() < 0.5
        calls.call("kmap_window", place, at, device, glob)
        cases.append((place, before, at, device, glob))
    results = calls.run()
    for place, before, at, device, glob in cases:
        seen = results.words(place, ENTRIES)
        entry, seen[at >> 22] = seen[at >> 22], before[at >> 22]
        what = f"of the window at {at:#x}, global={int(glob)}"
        same(f"bits {what}", bits(entry), bits(P | W | PS | PCD | PWT | (G if glob else 0)))
        same(f"where it leads, {what}", entry & _PLACE, device)
        same(f"the other entries, {what}", seen, before)


def mapped(results: Results) -> dict[int, tuple[int, str]]:
    """QEMU's own walk of the directory in CR3: place and bits of each page, by address."""
    text = results.machine.qmp.monitor("info tlb")
    found = re.findall(r"^([0-9a-f]+): ([0-9a-f]+) (\S+)", text, re.MULTILINE)
    return {int(va, 16): (int(pa, 16), letters) for va, pa, letters in found}


def has(letters: str, wanted: Sequence[str]) -> str:
    """Those of QEMU's letters that are of interest."""
    return "".join(letter for letter in wanted if letter in letters)


@points(3)
@rule(
    "The processor runs on the directory, reaches RAM and devices through it, and nothing else.",
    section=SECTION,
    breakpoint="kmap_init",
)
def test_the_processor_runs_on_it(bench: Bench) -> None:
    """What counts is what the processor makes of the words, not what they were meant to be."""
    rng, ram = bench.rng, 64
    calls = Calls(bench, memory=ram)
    secrets = [(rng.randrange(16 * MB, ram * MB - 64, 4), rng.getrandbits(32)) for _ in range(8)]
    secrets.append(((ram * MB) - 4, rng.getrandbits(32)))  # the last word of RAM
    for place, secret in secrets:
        calls.store(KERNEL_BASE + place, secret)
    calls.call("kmap_init", ram * MB)
    read = [calls.load(KERNEL_BASE + place) for place, _ in secrets]
    device = calls.call("kmap_device", wide(0xFEE00000), PAGE)
    version = calls.load(device + 0x30)  # of the local APIC
    results = calls.run()
    same("words of RAM, read through the new mapping", [results[word] for word in read],
         [secret for _, secret in secrets])  # fmt: skip
    same("the local APIC's version, read through its window", results[version] & 0xF0, 0x10)
    pages = mapped(results)
    window = min(page for page in pages if page >= KERNEL_BASE + RAM_LIMIT)
    places = {KERNEL_BASE + at: at for at in range(0, ram * MB, LARGE)} | {window: 0xFEC00000}
    same("what the processor has mapped where", {va: pa for va, (pa, _) in pages.items()}, places)
    for va, (_, letters) in pages.items():
        expected = "GPCTW" if va == window else "GPW"
        what = f"rights at {va:#x} (G global, P large, C and T uncached, U user, W writable)"
        same(what, has(letters, "GPCTUW"), expected)
