# SPDX-License-Identifier: MIT
"""The manual: it builds without a warning, agrees with the headers, and shows what happens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from grade.harness.lab import Lab
from grade.harness.process import end, start
from handouts.build import Expander
from handouts.header import ABI, Header, HeaderError

ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTERS = ROOT / "handouts/manual"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of built pages; a warning is an error."""
    folder = tmp_path_factory.mktemp("handouts")
    line = ["/usr/bin/python3", str(ROOT / "handouts/build.py"), str(folder), "gcc"]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "handouts"


class _Page(HTMLParser):
    """Links, images and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag names."""
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "img":
            self.images.append((given["src"], given.get("alt", "")))

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """All of it, single spaces between words."""
        return " ".join(" ".join(self.words).split())


def test_every_link_of_the_manual_leads_somewhere(pages: Path) -> None:
    """A reader follows links; an image without words is nothing to one who cannot see it."""
    for path in sorted(pages.rglob("*.html")):
        page = _Page(path)
        for link in page.links:
            name, _, anchor = link.partition("#")
            if "://" in name or link.startswith("#") or path.name in ("genindex.html",):
                continue
            target = (path.parent / name).resolve() if name else path
            assert target.exists(), f"{path.name}: {link}"
            if anchor:
                assert anchor in _Page(target).anchors, f"{path.name}: {link}"
        for image, words in page.images:
            assert len(words) > 40, f"{path.name}: {image} has no text equivalent"


@pytest.mark.quick
def test_the_manual_names_every_virtual_instruction() -> None:
    """Each has its entry, with what to do after an error; none is there that isn't in the header."""
    text = (CHAPTERS / "instructions.md").read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    header = Header(ABI)
    names = {i.name.removeprefix("VI_").lower() for i in header.instructions}
    assert set(sections) == names
    numbers = [i.number for i in header.instructions]
    assert numbers == sorted(set(numbers)) and header.constant("VI_COUNT") == numbers[-1] + 1
    for name, section in sections.items():
        assert "Restart:" in section or name in ("null", "terminate"), name
        assert f"@table instruction {name.upper()}" in section
        errors = set(re.findall(r"`(E_\w+)`", section))
        assert errors <= {e.name for e in header.errors}, name


@pytest.mark.quick
def test_offsets_in_the_manual_are_the_compilers() -> None:
    """Members follow one another without a gap that isn't there: every byte of the register page is
    some member's, and the compiler's offsets are those that assembly uses."""
    header = Header(ABI)
    fields, size = header.structure("vregs")
    assert size == 4096
    at = 0
    for field in fields:
        assert field.offset == at, field
        at += field.size
    assert at == size
    offsets = {field.name: field.offset for field in fields}
    for name in ("virq_enable", "upcall_eip", "upcall_eflags"):
        assert offsets[name] == header.constant(f"VREG_{name.upper()}")
    with pytest.raises(HeaderError):
        header.structure("nothing")


def test_the_manual_shows_what_the_header_says(pages: Path) -> None:
    """Numbers in the pages are those of today's header, and no mark is left over."""
    header = Header(ABI)
    registers = _Page(pages / "manual/registers.html").text
    for field in header.structure("vregs")[0]:
        assert f"{field.offset:#06x} {field.size} " in registers and field.name in registers
    errors = _Page(pages / "manual/errors.html").text
    for error in header.errors:
        assert f"-{error.number} {error.name} {error.text}" in errors
    for path in pages.rglob("*.html"):
        assert not re.search(r"@table|@#?\[", path.read_text()), path


@pytest.mark.quick
def test_the_manual_names_every_boot_option_and_error() -> None:
    """An option that only the source knows is not part of the machine; an error that no entry
    mentions is either never returned or forgotten."""
    chapter = (CHAPTERS / "boot.md").read_text()
    for path in (ROOT / "kern").glob("*.c"):
        for name in re.findall(r'^OPTION\("([\w-]+)"', path.read_text(), re.M):
            assert f"`{name}=" in chapter, f"{path.name}: {name}"
    text = (CHAPTERS / "instructions.md").read_text() + (CHAPTERS / "devices.md").read_text()
    unused = {e.name for e in Header(ABI).errors if f"`{e.name}`" not in text}
    assert unused <= {"E_IMAGE", "E_DAMAGED"}, unused  # for the kernel and Ilwaco themselves


@pytest.mark.quick
def test_a_mark_that_nothing_answers_is_an_error() -> None:
    """A renamed constant must fail the build, not leave a hole in a sentence."""
    expander = Expander("gcc")
    for text in ("@[NO_SUCH_THING]", "@table nothing", "@table instruction NOTHING"):
        with pytest.raises(HeaderError):
            expander.expand(text)
    assert expander.expand("@#[VREGS_BASE] @[BLOCK_SIZE]") == "0x1000 4,096"

# --- the chapter on scale ----------------------------------------------------------------------

STATES = re.compile(r"^\t\[VM_(\w+)\] = ([^,]+),$", re.M)


def _arrows_of_the_kernel() -> set[tuple[str, str]]:
    """(from, to) of each change that kern/state.c allows."""
    table = STATES.findall((ROOT / "kern/state.c").read_text())
    assert len(table) == 12
    return {
        (old.lower(), new.lower()) for old, to in table for new in re.findall(r"TO\((\w+)\)", to)
    }


@pytest.mark.quick
def test_the_states_in_the_manual_are_the_kernels() -> None:
    """Picture and table show the changes that the kernel allows: each of them, and no other."""
    arrows = _arrows_of_the_kernel()
    states = {old for old, _ in arrows}
    drawn = re.findall(
        r'data-from="([\w ]+)" data-to="(\w+)"', (CHAPTERS / "states.svg").read_text()
    )
    assert {(old, new) for olds, new in drawn for old in olds.split()} == arrows
    chapter = (CHAPTERS / "scale.md").read_text()
    rows = dict(re.findall(r"^\| (\w+) \| [^|]+ \| ([\w, ]+) \|$", chapter, re.M))
    told = {(old, new) for old, to in rows.items() if old in states for new in to.split(", ")}
    assert told == arrows


@pytest.mark.quick
def test_the_stripes_in_the_manual_follow_the_arithmetic() -> None:
    """Whoever writes swap_place from the picture writes the right one."""
    text = (CHAPTERS / "stripes.svg").read_text()
    found = re.findall(
        r'data-region="(\d)" data-stripe="(\d)" data-disk="(\d)" data-row="(\d)"', text
    )
    places = {(int(r), int(s)): (int(disk), int(row)) for r, s, disk, row in found}
    disks, stripes, regions = 3, 4, 3
    rows = -(-stripes // disks)
    assert places == {
        (region, stripe): ((region + stripe) % disks, region * rows + stripe // disks)
        for region in range(regions)
        for stripe in range(stripes)
    }


def _any_figures(line: str) -> str:
    """A pattern for a line, in which frames and pages may be other numbers."""
    text = re.escape(line).replace("\\ ", " ")
    return re.sub(r"\d+(?= (frames|of|for|pages|transfers))", r"\\d+", text)


def test_the_monitor_shows_what_the_chapter_on_scale_shows(lab: Lab) -> None:
    """A reader who types the chapter's commands sees the chapter's lines; figures may differ."""
    blocks = list(_blocks(CHAPTERS / "scale.md"))
    options = next(b.commands[0] for b in blocks if b.language == "console").split("'")[1]
    machine = lab.boot(lab.guest("httpd", count=3), options=options)
    for _ in range(3):
        machine.expect("httpd: serving")
    session = next(b.text for b in blocks if b.caption == "in the monitor")
    for command, *lines in (part.splitlines() for part in session.split("denali> ")[1:]):
        wanted = [_any_figures(line.strip()) for line in lines]
        for _ in range(20):  # VM 2 is out a moment later
            shown = machine.monitor(command)
            missing = [line for line in wanted if not re.search(line, shown)]
            if not missing:
                break
        assert not missing, f"{command}: {missing}\n{shown}"


# --- the first chapter -------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A code block of the chapter."""

    language: str
    caption: str
    text: str

    @property
    def commands(self) -> list[str]:
        """What a reader types."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


def _blocks(chapter: Path) -> Iterator[Block]:
    pattern = r"^```\{code-block\} (\w+)\n(?::caption: ([^\n]*)\n)?(.*?)^```$"
    for match in re.finditer(pattern, chapter.read_text(), re.M | re.S):
        yield Block(match[1], match[2] or "", match[3])


def _checkout(folder: Path) -> Path:
    """A copy of the tree as git knows it, and lwIP's source, which is not to be fetched again."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, names.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    (folder / "build").mkdir()
    for name in ("lwip", "lwip-download"):
        if (ROOT / "build" / name).exists():
            (folder / "build" / name).symlink_to((ROOT / "build" / name).resolve())
    return folder


class Reader:
    """Does what the chapter says, in a checkout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "build/reader.log"
        drop = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PORT", "VMS", "GUEST", "ARGS", "BOOT")
        self._environment = {k: v for k, v in os.environ.items() if k not in drop}
        self.machine: subprocess.Popen[bytes] | None = None
        self.output = ""

    def take(self, block: Block) -> None:
        """One code block: a file to write, commands to type, or what is to be seen."""
        if block.language == "console":
            for command in block.commands:
                self._type(command)
        elif block.caption.endswith("(append)"):
            path = self._folder / block.caption.split()[0]
            path.write_text(path.read_text() + "\n" + block.text)
        elif block.language == "c":
            (self._folder / block.caption).write_text(block.text)
        else:
            shown = re.sub(r"\d+(?= s after)", r"\\d+", re.sub(r"([.\[\]()])", r"\\\1", block.text))
            for line in shown.splitlines():
                assert re.search(line, self.output), f"{line!r} is not in:\n{self.output}"

    def _type(self, command: str) -> None:
        if command.startswith("make qemu") and "when-done" not in command:
            self._start(command)
            return
        line = ["timeout", "300", "nice", "bash", "-c", command]
        result = subprocess.run(
            line, cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.output = result.stdout.replace("\r", "")
        # QEMU's status 33 is the kernel's orderly end; make calls any status but 0 an error.
        good = result.returncode == 0 or "when-done" in command
        assert good, f"$ {command}\n{self.output[-3000:]}"

    def _start(self, command: str) -> None:
        with open(self._log, "wb") as log:
            self.machine = start(
                ["bash", "-c", f'cd "{self._folder}" && exec {command}'],
                environment=self._environment, stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while self._log.read_text(errors="replace").count("serving") < 3:
            assert time.monotonic() < deadline, self._log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)


@pytest.mark.long
def test_a_reader_of_the_first_chapter_gets_a_service(tmp_path: Path) -> None:
    """From a clean checkout, with exactly the files and commands of the text."""
    reader = Reader(_checkout(tmp_path / "denali"))
    try:
        for block in _blocks(CHAPTERS / "guest.md"):
            reader.take(block)
        assert reader.machine is not None
    finally:
        if reader.machine:
            end(reader.machine)
