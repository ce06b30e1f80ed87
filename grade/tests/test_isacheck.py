# SPDX-License-Identifier: MIT
"""conf/isacheck: what it finds in an image, what it lets pass, and what it has to say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from grade.harness.lab import Lab

pytestmark = pytest.mark.host

_GUEST = """
static int __attribute__((noinline))
sneaky(void)
{
	__asm__ volatile("%s" ::: "eax", "memory", "cc");
	return 1;
}

static int
run(void)
{
	return sneaky();
}
"""


def _guest(lab: Lab, text: str) -> Path:
    """An image whose function `sneaky` executes `text`."""
    return Path(lab.program(_GUEST % text.replace("%", "%%")).image)


def isacheck(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the tool."""
    line = ["conf/isacheck", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("cli", "excluded", "cli"),
        ("rdtsc", "excluded", "rdtsc"),
        ("lcall $0x1b, $0x3000", "excluded", "far call"),
        ("lret", "excluded", "far ret"),
        ("iret", "excluded", "iret"),
        ("int $0x21", "excluded", "int"),
        ("xorps %xmm0, %xmm0", "excluded", "MMX or SSE"),
        ("rep; insb", "excluded", "ins"),
        ("movw %ds, %ax", "ambiguous", "mov from segment register"),
        ("pushf; popf", "ambiguous", "pushf"),
        ("es; cli", "excluded", "cli"),
        (".byte 0x0f, 0xa6", "undefined", "bytes 0f"),
    ],
)
def test_isacheck_names_function_and_line(lab: Lab, text: str, kind: str, name: str) -> None:
    """What isn't ordinary is found, with the place in the source."""
    image = _guest(lab, text)
    result = isacheck(image)
    wanted = rf"guest\.c:\d+.*: sneaky: {kind} instruction: {re.escape(name)}( a6.*)?$"
    assert result.returncode == 1, result.stdout
    assert re.search(wanted, result.stdout, re.MULTILINE), result.stdout


def test_isacheck_lets_ordinary_and_virtual_instructions_pass(lab: Lab) -> None:
    """The gate is what a guest is for; ud2 stands where a program never gets."""
    image = _guest(lab, "int $0x80; rep; movsb; nopl %es:(%eax); movzbl %ss:(%eax), %eax; ud2")
    assert "sneaky" not in isacheck(image).stdout  # (guest.h has a popf)
    assert "sneaky: excluded instruction: ud2 (allowed)" in isacheck("--all", image).stdout


def test_every_program_was_checked_when_it_was_built(lab: Lab) -> None:
    """The build has a stamp for each image but those that attack; each passes now, too."""
    elves = (lab.build / "user").glob("*.elf")
    images = [p for p in elves if not p.name.startswith("hostile-") and p.name != "attack.elf"]
    assert len(images) >= 10
    for image in images:
        assert image.with_suffix(".checked").exists(), image
    result = isacheck(*images)
    assert result.returncode == 0, result.stdout


def test_a_hostile_program_is_found_out(lab: Lab) -> None:
    """The exception is made by name, not because the tool sees nothing there."""
    result = isacheck(lab.build / "user/hostile-cli.elf")
    assert result.returncode == 1 and "excluded instruction: cli" in result.stdout


def test_isacheck_says_when_it_cannot_judge(lab: Lab) -> None:
    """No ELF file, no file, no argument: status 2, never 0."""
    text = lab.folder() / "text"
    text.write_text("hello")
    assert [isacheck(*a).returncode for a in ((text,), (text.with_name("none"),), ())] == [2, 2, 2]


def test_build_fails_for_an_image_with_an_excluded_instruction(lab: Lab) -> None:
    """make's rule, on a copy of a bad image: no stamp, no program."""
    folder = lab.folder()
    (folder / "user").mkdir()
    bad = folder / "user/hello.elf"
    bad.write_bytes((lab.build / "user/hostile-cli.elf").read_bytes())
    os.utime(bad, (2**31 - 2, 2**31 - 2))  # newer than its sources: make takes it as it is
    line = ["make", "-s", "SETUP=no", f"O={folder}", f"{folder}/user/hello.checked"]
    line += ["-o", str(bad)]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode != 0 and "excluded instruction: cli" in result.stdout
    assert not (folder / "user/hello.checked").exists()
