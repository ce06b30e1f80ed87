# SPDX-License-Identifier: MIT
"""mkdisk, the host's tool for disks with virtual disks: what people type, and what they get."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.quick, pytest.mark.host]


def mkdisk(*arguments: object, error: str = "") -> str:
    """Run mkdisk; with `error` it must fail with a line that has this in it."""
    line = [str(ROOT / "conf/mkdisk"), *map(str, arguments)]
    run = subprocess.run(line, capture_output=True, text=True, check=False)
    if error:
        assert run.returncode == 1 and error in run.stderr and run.stderr.count("\n") <= 2, run
        assert run.stderr.startswith("mkdisk: ") and "Traceback" not in run.stderr
    else:
        assert run.returncode == 0, run.stderr
    return run.stdout


def blocks_used(path: Path) -> int:
    """Bytes that the host keeps for a file."""
    return path.stat().st_blocks * 512


def test_what_is_filled_comes_out_again(tmp_path: Path) -> None:
    """A file goes into a virtual disk and back, zeros behind it; what lay there before is gone."""
    image, source, target = tmp_path / "i", tmp_path / "s", tmp_path / "t"
    mkdisk("create", image, "1M")
    mkdisk("add", image, "data", "40K")
    for data in (b"old" * 13000, b"new" * 3000):
        source.write_bytes(data)
        mkdisk("fill", image, "data", source)
        mkdisk("extract", image, "data", target)
        assert target.read_bytes() == data.ljust(40960, b"\0")
    mkdisk("check", image)


def test_list_says_what_there_is(tmp_path: Path) -> None:
    """Names, sizes, who may write, and how much is left."""
    image = tmp_path / "i"
    mkdisk("create", image, "64M", "--disks", 10)
    mkdisk("add", image, "site", "4M", "--read-only")
    mkdisk("add", image, "data-1", "8192")
    first, second, last = mkdisk("list", image).splitlines()
    assert first.split() == ["site", "4M", "1024", "blocks,", "shared", "read-only"]
    assert second.split() == ["data-1", "8K", "2", "blocks,", "private"]
    assert last.startswith("64M in all, 59.98M free")


def test_removed_disk_leaves_its_room_and_nothing_in_it(tmp_path: Path) -> None:
    """The room is used again; a new disk there is zero, and the host has the blocks back."""
    image, source, target = tmp_path / "i", tmp_path / "s", tmp_path / "t"
    mkdisk("create", image, "1M", "--disks", 3)
    source.write_bytes(b"s" * 400_000)
    for name in ("one", "two"):
        mkdisk("add", image, name, "400K")
        mkdisk("fill", image, name, source)
    mkdisk("add", image, "three", "400K", error="no room for 100 blocks in one piece; 52")
    before = blocks_used(image)
    mkdisk("remove", image, "one")
    assert blocks_used(image) < before - 300_000
    mkdisk("add", image, "three", "400K")
    mkdisk("extract", image, "three", target)
    assert not any(target.read_bytes())
    mkdisk("extract", image, "two", target)
    assert target.read_bytes()[:400_000] == source.read_bytes()


def test_disk_of_a_terabyte_is_sparse(tmp_path: Path) -> None:
    """1.6 TB, and a disk that fills most of it: the host keeps some KB, each command is quick."""
    image, source, target = tmp_path / "i", tmp_path / "s", tmp_path / "t"
    source.write_bytes(b"x" * 5000)
    mkdisk("create", image, "1.6T")
    mkdisk("add", image, "small", "1M")
    mkdisk("add", image, "large", "1.5T")
    mkdisk("fill", image, "large", source)
    mkdisk("extract", image, "large", target)
    with open(target, "rb") as file:
        assert file.read(8192) == b"x" * 5000 + bytes(3192)
    assert target.stat().st_size == 3 << 39 and blocks_used(target) < 1 << 20
    assert blocks_used(image) < 1 << 20
    mkdisk("remove", image, "large")


def test_1008_disks_and_not_one_more(tmp_path: Path) -> None:
    """The whole table, through Python, as each command writes and flushes it."""
    from conf.vdisk import DISKS_MAX, VdiskError, Volume

    image = tmp_path / "i"
    with Volume.create(image, 2000) as volume:
        for number in range(DISKS_MAX):
            volume.add(f"data-{number}", 1)
        with pytest.raises(VdiskError, match="the table is full"):
            volume.add("more", 1)
    with Volume.open(image) as volume:
        assert [disk.name for disk in volume] == [f"data-{number}" for number in range(DISKS_MAX)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add", "I", "data", "1M"), "there is a disk 'data' already"),
        (("add", "I", "no/name", "1M"), "is no name"),
        (("add", "I", "n" * 32, "1M"), "is no name"),
        (("add", "I", "new", "1X"), "'1X' is no size"),
        (("add", "I", "new", "0"), "no size that a disk can have"),
        (("add", "I", "new", "2M"), "no room for 512 blocks"),
        (("remove", "I", "nobody"), "no disk 'nobody'; there are: data"),
        (("fill", "I", "data", "I"), "bytes; disk 'data' has"),
        (("fill", "I", "data", "nowhere"), "nowhere"),
        (("extract", "I", "data", "/nowhere/at/all"), "/nowhere/at/all"),
        (("create", "I", "1M"), "File exists"),
        (("create", "J", "1K"), "are the least"),
        (("list", "J"), "No such file"),
        (("list", "/dev/null"), "no superblock"),
        (("list", str(ROOT / "README.md")), "no superblock"),
    ],
)
def test_mistake_gets_one_line_that_says_so(
    tmp_path: Path, arguments: tuple[str, ...], error: str
) -> None:
    """No traceback, no half-done change: afterwards the image is as it was."""
    image = tmp_path / "I"
    mkdisk("create", image, "1M")
    mkdisk("add", image, "data", "64K")
    before = image.read_bytes()
    files = {"I": str(image), "J": str(tmp_path / "J")}
    mkdisk(*(files.get(argument, argument) for argument in arguments), error=error)
    assert image.read_bytes() == before
    mkdisk("check", image)


def test_check_tells_damage(tmp_path: Path) -> None:
    """A copy that has rotted is named, though the other stands in; two cost the image."""
    image = tmp_path / "I"
    mkdisk("create", image, "1M", "--disks", 1)
    for block, says in ((3, "usable, but damaged"), (2, "its checksum is wrong")):
        with open(image, "r+b") as file:
            file.seek(block * 4096 + 1000)
            file.write(b"!")
        mkdisk("check", image, error=says)
