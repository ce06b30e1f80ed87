# SPDX-License-Identifier: MIT
"""Guest images are input from an enemy: a bad one is refused, and costs its neighbours nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.elf import PF_R, PF_W, Image, Segment, code
from grade.harness.lab import Lab

# mov $2, %eax; mov $42, %ebx; int $0x80: terminates with status 42.
GOOD_CODE = bytes.fromhex("b802000000 bb2a000000 cd80")
GOOD = Image(segments=[code(GOOD_CODE)])
_TEXT = code(GOOD_CODE)
_DATA = Segment(0x3000, 4, 8, PF_R | PF_W, data=b"data")


def _with(*segments: Segment) -> Image:
    return Image(segments=[_TEXT, *segments])


BAD = {
    "empty": Image(cut=0),
    "one byte": Image(cut=1),
    "cut inside the header": replace(GOOD, cut=51),
    "cut inside the header table": replace(GOOD, cut=60),
    "cut inside the segment": replace(GOOD, cut=0x1000 + len(GOOD_CODE) - 1),
    "not ELF": replace(GOOD, magic=b"\x7fELG\x01\x01\x01"),
    "64-bit": replace(GOOD, magic=b"\x7fELF\x02\x01\x01"),
    "big-endian": replace(GOOD, magic=b"\x7fELF\x01\x02\x01"),
    "relocatable": replace(GOOD, type=1),
    "another machine's": replace(GOOD, machine=40),
    "no segments": Image(),
    "header table past the end": replace(GOOD, phoff=0x7FFFFFF0),
    "header table that wraps": replace(GOOD, phoff=0xFFFFFFE0),
    "header table too long": replace(GOOD, phnum=0xFFFF),
    "headers of a wrong size": replace(GOOD, phentsize=0),
    "larger in the file than in memory": _with(replace(_DATA, memsz=3)),
    "past the end of the file": _with(replace(_DATA, offset=0x100000, data=b"")),
    "offset that wraps": _with(replace(_DATA, offset=0xFFFFFFFE, data=b"")),
    "file size that wraps": _with(replace(_DATA, filesz=0xFFFFF000, memsz=0xFFFFF000)),
    "memory size that wraps": _with(replace(_DATA, memsz=0xFFFFE000)),
    "at page 0": _with(replace(_DATA, vaddr=0)),
    "at the virtual registers": _with(replace(_DATA, vaddr=0x1000)),
    "from below the image": _with(replace(_DATA, vaddr=0x1FFC, memsz=0x10, filesz=4)),
    "past the VM's memory": _with(replace(_DATA, vaddr=(16 << 20) - 4096, memsz=4097)),
    "in the kernel": _with(replace(_DATA, vaddr=0x40100000)),
    "at the top of all addresses": _with(replace(_DATA, vaddr=0xFFFFF000, memsz=0x1000)),
    "overlapping": _with(_DATA, replace(_DATA, vaddr=0x3004)),
    "data on a page of text": _with(replace(_DATA, vaddr=0x2F00)),
    "a whole segment over another": _with(replace(_DATA, vaddr=0x2000, memsz=0x10000)),
    "entry outside": replace(GOOD, entry=0x00F00000),
    "entry in the kernel": replace(GOOD, entry=0x40100000),
    "entry in page 0": replace(GOOD, entry=0),
}


@pytest.mark.quick
def test_good_image_runs(lab: Lab) -> None:
    """The control of all tests below: what is made here, without a fault, does run."""
    machine = lab.boot(lab.image(GOOD.build()), options="when-done=exit")
    machine.expect("^vm 1: terminated, status 42")
    assert machine.wait() == EXIT_DONE


@pytest.mark.parametrize("what", BAD)
def test_bad_image_is_refused_and_its_neighbours_run(lab: Lab, what: str) -> None:
    """A checker that forgets one sum lets a service's author write into the kernel."""
    bad = lab.image(BAD[what].build() or b"")
    machine = lab.boot(lab.image(GOOD.build()), bad, "hello", options="when-done=exit")
    refused = machine.expect(rf"^boot: module {bad.image} refused: (.+)$")
    assert len(refused[1]) >= 10
    machine.expect_all("^vm 1: terminated, status 42", "^vm 2: terminated, status 0")
    assert machine.wait() == EXIT_DONE


def test_bss_is_zero_behind_a_segment_that_ends_in_a_page(lab: Lab) -> None:
    """The rest of a page behind the file's bytes is zero, not what follows in the file: that would
    be wrong data in every C program."""
    data = Segment(0x3000, 4, 0x3000, PF_R | PF_W, data=b"data")
    # edi = 0x3004; ecx = 0x2ffc; xor eax,eax; repe scasb; sete al; add ..: status 1 if all zero
    check = code(bytes.fromhex("bf04300000 b9fc2f0000 31c0 f3ae 0f94c0 89c3 b802000000 cd80"))
    after = replace(code(b"\xff" * 0x2000, 0x8000), offset=0x2004)
    machine = lab.boot(lab.image(Image(segments=[check, data, after]).build()))
    machine.expect("^vm 1: terminated, status 1$")


def test_image_bytes_are_those_of_the_file(lab: Lab) -> None:
    """Offsets that aren't congruent to addresses, or a segment that begins inside a page, must not
    shift a byte: the image can't be shared then, but it must still be right."""
    text = bytes(range(256)) * 40
    machine_code = bytes.fromhex("b801000000 bbffffffff b9ffffffff cd80")  # idle(for ever)
    image = Image(
        segments=[
            code(machine_code),
            Segment(0x5123, len(text), len(text), PF_R, offset=0x2777, data=text),
            Segment(0x9456, len(text), len(text) + 5, PF_R | PF_W, offset=0x6456, data=text),
        ]
    )
    machine = lab.boot(lab.image(image.build(), count=2), options="back=all")
    machine.expect("^vms 1 to 2")
    machine.qmp.command("stop")
    for space in machine.spaces().values():
        assert space.read(0x5123, len(text)) == text
        assert space.read(0x9456, len(text) + 5) == text + bytes(5)
        assert space.read(0x2000, len(machine_code)) == machine_code
