# SPDX-License-Identifier: MIT
"""Every claim about isolation has an attack. The attacks of one guest run in test_hostile.py; those
that need more than a guest are tests of their own, named here."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What is promised, and who attacks it: a guest (hostile-NAME, flood-NAME) or a test (file::function).
CLAIMS: dict[str, tuple[str, ...]] = {
    "page 0 is never mapped": ("hostile-null",),
    "there is no memory behind a guest's own": ("hostile-past-ram",),
    "the kernel's memory can't be read": ("hostile-read-kernel",),
    "the kernel's memory can't be written": ("hostile-write-kernel",),
    "the kernel's code can't be executed": ("hostile-jump-kernel",),
    "shared text can't be written": ("hostile-text",),
    "a frame shows nothing of its last owner": (
        "hostile-leftovers",
        "test_isolation.py::test_private_memory_does_not_survive_its_owner",
    ),
    "no VM reaches another's memory": ("test_isolation.py::test_guest_reaches_nothing_but_its_own",),
    "whoever uses up memory harms itself": (
        "test_isolation.py::test_memory_runs_out_for_the_one_who_asks",
    ),
    "the register page is never trusted": ("hostile-registers", "hostile-counters"),
    "an upcall to nowhere harms its VM alone": ("hostile-handler",),
    "the kernel never uses a guest's stack": ("hostile-stack",),
    "unknown virtual instructions are refused": ("hostile-numbers",),
    "bad pointers are refused": ("hostile-pointers",),
    "the supervisor's instructions are refused": ("hostile-supervisor",),
    "the kernel's flags are its own": ("hostile-flags", "hostile-direction"),
    "whoever computes for ever is interrupted": ("hostile-hog",),
    "deadlines don't confuse the sleepers": ("hostile-deadlines",),
    "whoever talks without end doesn't silence others": ("hostile-babble",),
    "nobody sends in another's name": ("flood-source",),
    "runts and giants are refused": ("flood-lengths",),
    "broadcasts aren't passed on": ("flood-broadcast",),
    "a flood harms the flooder": ("flood-neighbour",),
    "nobody names another's disk": ("hostile-disks",),
    "only a VM's own RAM is given back": ("hostile-discard",),
    "virtual-8086 mode ends its VM": (
        "test_vm86.py::test_virtual_8086_mode_ends_only_the_vm_that_enters_it",
    ),
    "an image is checked before it is believed": (
        "test_images.py::test_bad_image_is_refused_and_its_neighbours_run",
    ),
    "every byte string is survived": ("test_fuzz.py::test_fuzzer_finds_nothing",),
    "no entry of the kernel is long": ("test_entry.py::test_attacks_cost_no_long_entry",),
}


def _exists(attack: str) -> bool:
    if "::" in attack:
        file, function = attack.split("::")
        path = ROOT / "grade/tests" / file
        return path.exists() and f"def {function}(" in path.read_text()
    folder, name = attack.split("-", 1)
    return (ROOT / "user" / folder / f"{name}.c").exists()


@pytest.mark.quick
@pytest.mark.host
@pytest.mark.parametrize("claim", CLAIMS)
def test_claim_is_attacked(claim: str) -> None:
    """A claim that nobody attacks is a wish."""
    assert CLAIMS[claim]
    for attack in CLAIMS[claim]:
        assert _exists(attack), f"{claim}: {attack} isn't there"
