# SPDX-License-Identifier: MIT
"""discard: pages given back read as zero, and cost nothing until they are touched."""

from __future__ import annotations

import pytest

from conf.qemu import EXIT_DONE
from grade.harness.lab import Lab

HELP = r"""
static UNUSED char data[16 * 4096] __attribute__((aligned(4096))) = {[0 ... 16 * 4096 - 1] = 'd'};
static UNUSED char words[3 * 4096] __attribute__((aligned(4096)));

static UNUSED u32 frames(void) /* as of a new quantum */
{
    for (u32 before = VREGS->quanta; VREGS->quanta == before;)
        idle(now() + 100000); /* which may have passed already */
    return VREGS->frames_used;
}
"""

RULES = {
    "pages that were written read as zero": """
        for (u32 i = 0; i < sizeof words; i++)
            words[i] = 'w';
        CHECK(gate(VI_DISCARD, (u32)words + 4096, 4096) == 4096);
        for (u32 i = 0; i < sizeof words; i++)
            CHECK(words[i] == (i / 4096 == 1 ? 0 : 'w'));
        words[5000] = 'x';
        CHECK(words[5000] == 'x' && words[5001] == 0);
    """,
    "pages of the image read as zero, not as the image, written or not": """
        data[3 * 4096] = 'e';
        CHECK(data[4 * 4096] == 'd');
        CHECK(gate(VI_DISCARD, (u32)data + 2 * 4096, 3 * 4096) == 3 * 4096);
        for (u32 i = 0; i < sizeof data; i++)
            CHECK(data[i] == (i / 4096 >= 2 && i / 4096 < 5 ? 0 : 'd'));
        data[2 * 4096] = 'f';
        CHECK(data[2 * 4096] == 'f' && data[2 * 4096 + 1] == 0 && data[2 * 4096 - 1] == 'd');
    """,
    "a page discarded twice, or never touched, is nothing new": """
        gva_t far = VREGS->memory_size - 8 * 4096;
        for (u32 i = 0; i < 3; i++) {
            CHECK(gate(VI_DISCARD, far, 8 * 4096) == 8 * 4096);
            CHECK(gate(VI_DISCARD, (u32)data, 4096) == 4096);
        }
        CHECK(*(volatile u32 *)far == 0 && data[0] == 0 && data[4096] == 'd');
    """,
    "what was given back costs no frame until it is touched": """
        volatile char *heap = (volatile char *)0x400000;
        u32 before = frames();
        for (u32 i = 0; i < 500; i++)
            heap[i * 4096] = 1;
        u32 full = frames();
        CHECK(full - before == 500 || full == VREGS->memory_size / 4096 - 2);
        for (u32 done = 0; done < 500 * 4096;) {
            i32 n = gate(VI_DISCARD, 0x400000 + done, 500 * 4096 - done);
            CHECK(n > 0 && n <= DISCARD_MAX * 4096);
            done += n;
        }
        CHECK(frames() == full - 500);
        CHECK(heap[499 * 4096] == 0 && frames() <= full - 498);
    """,
    "errors come before anything is done": """
        u32 size = VREGS->memory_size;
        words[0] = 'w';
        CHECK(gate(VI_DISCARD, (u32)words + 1, 4096) == -E_INVAL);
        CHECK(gate(VI_DISCARD, (u32)words, 4095) == -E_INVAL);
        CHECK(gate(VI_DISCARD, 0, 4096) == -E_FAULT);
        CHECK(gate(VI_DISCARD, VREGS_BASE, 4096) == -E_FAULT);
        CHECK(gate(VI_DISCARD, size, 4096) == -E_FAULT);
        CHECK(gate(VI_DISCARD, size - 4096, 2 * 4096) == -E_FAULT);
        CHECK(gate(VI_DISCARD, (u32)words, 0xfffff000) == -E_FAULT);
        CHECK(gate(VI_DISCARD, 0xfffff000, 0x4000) == -E_FAULT);
        CHECK(gate(VI_DISCARD, 0x40000000, 4096) == -E_FAULT);
        CHECK(gate(VI_DISCARD, (u32)words, 0) == 0);
        CHECK(gate(VI_DISCARD, size, 0) == 0);
        CHECK(words[0] == 'w');
    """,
    "at most 64 pages a call": """
        CHECK(gate(VI_DISCARD, 0x400000, 65 * 4096) == 64 * 4096);
        CHECK(gate(VI_DISCARD, 0x400000, 0x800000) == 64 * 4096);
    """,
}


@pytest.mark.parametrize("options", ["", "share=off", "back=all share=off"])
def test_discard(lab: Lab, options: str) -> None:
    """Each rule in a VM of its own, beside the others; the records agree afterwards."""
    modules = [
        lab.program(HELP + f"static int run(void) {{ {body} return {40 + i}; }}")
        for i, body in enumerate(RULES.values())
    ]
    machine = lab.boot(*modules, options=options)
    machine.expect_all(*(f"^vm {i + 1}: terminated, status {40 + i}$" for i in range(len(modules))))
    assert " 0 problems" in machine.monitor("check")


def test_records_agree_while_pages_are_gone(lab: Lab) -> None:
    """The checker knows a discarded page of an image."""
    body = "data[0] = 'x'; CHECK(gate(VI_DISCARD, (u32)data, 8 * 4096) == 8 * 4096);" \
        "say(\"gone\\n\"); idle(IDLE_FOREVER);"
    machine = lab.boot(lab.program(HELP + f"static int run(void) {{ {body} return 0; }}", count=3))
    for number in (1, 2, 3):
        machine.expect(rf"^\[vm {number}\] gone$")
    assert " 0 problems" in machine.monitor("check")


def test_discarded_frames_hold_nothing_of_another(lab: Lab) -> None:
    """Given back, a frame may be anyone's; what is touched again is zero, whoever had it."""
    body = """
        volatile u32 *heap = (volatile u32 *)0x200000;
        for (u32 round = 0; round < 200; round++) {
            for (u32 i = 0; i < 32 * 1024; i += 256) {
                CHECK(heap[i] == 0);
                heap[i] = 0x5ec4e7 + VREGS->number;
            }
            CHECK(gate(VI_DISCARD, 0x200000, 32 * 4096) == 32 * 4096);
        }
    """
    program = lab.program(HELP + f"static int run(void) {{ {body} return 9; }}", count=6)
    machine = lab.boot(program, options="when-done=exit quantum=500us", memory=32)
    assert machine.wait() == EXIT_DONE
    assert machine.serial.text().count("terminated, status 9") == 6
