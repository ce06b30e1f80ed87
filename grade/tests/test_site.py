# SPDX-License-Identifier: MIT
"""A site on a virtual disk, packed by `mkdisk site`, served to real curl."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from conf.vdisk import BLOCK_SIZE, Volume
from grade.harness.accounts import check_sums
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.packet import vm_address
from grade.harness.tap import Tap

ROOT = Path(__file__).resolve().parent.parent.parent
MKDISK = str(ROOT / "conf/mkdisk")
BIG = 8 << 20


def mkdisk(*args: str | Path, status: int = 0) -> str:
    """Run mkdisk; its standard output, or for another status than 0 its errors."""
    line = [sys.executable, MKDISK, *map(str, args)]
    run = subprocess.run(line, capture_output=True, text=True, check=False)
    assert run.returncode == status, run.stderr
    return run.stderr if status else run.stdout


def make_folder(top: Path) -> Path:
    """A site with files of many kinds and sizes."""
    rng = random.Random(2002)
    folder = top / "site"
    (folder / "sub dir").mkdir(parents=True)
    (folder / "index.html").write_text("<title>A site on a disk</title>\n")
    (folder / "404.html").write_text("<p>The site's own page for what is missing\n")
    (folder / "style.css").write_text("body { margin: 0 }\n")
    (folder / "big.bin").write_bytes(rng.randbytes(BIG))
    (folder / "empty.txt").write_bytes(b"")
    (folder / "sub dir/index.html").write_text("below\n")
    (folder / "sub dir/page é.html").write_text("accents\n")
    for size in (1, 4063, 4064, 4065, 16384, 16385, 100_000):
        (folder / f"{size}.png").write_bytes(rng.randbytes(size))
    return folder


def serve(lab: Lab, image: Path, count: int = 1) -> tuple[Machine, Tap]:
    """`count` web servers that share the disk `site` of `image`."""
    tap = lab.tap()
    guest = lab.guest("httpd", count=count, disks=("site",))
    machine = lab.boot(guest, tap=tap, disk=f"file={image},format=raw")
    machine.expect("httpd: serving its disk")
    for number in range(1, count + 1):
        tap.curl(number, "/", "--retry", "10", "--retry-connrefused")
    return machine, tap


def fetch(tap: Tap, path: str, *options: str, number: int = 1) -> tuple[str, dict[str, str], bytes]:
    """Status, header fields (names in lower case) and body of one request."""
    with tempfile.NamedTemporaryFile() as target:
        line = ["curl", "-s", "-D", "-", "-o", target.name, "--max-time", "30", *options]
        head = tap.command(*line, f"http://{vm_address(number)}{path}", seconds=40).stdout
        body = target.read()
    first, *rest = head.splitlines()
    fields = dict(line.lower().split(": ", 1) for line in rest if ": " in line)
    return first.split()[1], fields, body


@pytest.fixture(name="site")
def make_site(lab: Lab) -> tuple[Path, Path]:
    """A folder, and an image with it."""
    top = lab.folder()
    folder = make_folder(top)
    mkdisk("site", top / "site.img", folder)
    return folder, top / "site.img"


def test_every_file_comes_as_it_is(lab: Lab, site: tuple[Path, Path]) -> None:
    """Status, type, length and every byte, of files around block and buffer sizes and of 8 MB; from
    VMs that share the disk."""
    folder, image = site
    machine, tap = serve(lab, image, count=3)
    types = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8"}
    types |= {".png": "image/png", ".txt": "text/plain; charset=utf-8"}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = "/" + path.relative_to(folder).as_posix()
        quoted = name.replace(" ", "%20").replace("é", "%C3%a9")
        status, fields, body = fetch(tap, quoted, number=1 + len(name) % 3)
        assert status == "200" and body == path.read_bytes(), name
        assert fields["content-type"] == types.get(path.suffix, "application/octet-stream")
        assert fields["content-length"] == str(len(body))
    assert fetch(tap, "/")[2] == (folder / "index.html").read_bytes()
    assert fetch(tap, "/sub%20dir/?x=1")[2] == b"below\n"
    check_sums(machine)


def test_what_is_missing_is_404_and_head_has_no_body(lab: Lab, site: tuple[Path, Path]) -> None:
    """With the site's own page for it; a path that can't be is 400."""
    folder, image = site
    machine, tap = serve(lab, image)
    for path in ("/nothing", "/status.json", "/" + "x" * 300, "/sub%20dir"):
        status, _, body = fetch(tap, path)
        assert status == "404" and body == (folder / "404.html").read_bytes(), path
    assert fetch(tap, "/%00")[0] == fetch(tap, "/%zz")[0] == "400"
    assert fetch(tap, "/", "-X", "BREW")[0] == "501"
    status, fields, body = fetch(tap, "/big.bin", "-I")
    assert (status, fields["content-length"]) == ("200", str(BIG))
    check_sums(machine)


def test_a_range_is_those_bytes(lab: Lab, site: tuple[Path, Path]) -> None:
    """206 with Content-Range, 416 behind the end; what can't be understood, or are several ranges,
    is the whole [RFC 9110, 14]."""
    folder, image = site
    machine, tap = serve(lab, image)
    data = (folder / "100000.png").read_bytes()
    for given, first, last in (
        ("0-0", 0, 0),
        ("4031-4096", 4031, 4096),
        ("99999-", 99999, 99999),
        ("50000-999999999999", 50000, 99999),
        ("-1000", 99000, 99999),
        ("-200000", 0, 99999),
    ):
        status, fields, body = fetch(tap, "/100000.png", "-H", f"Range: bytes={given}")
        assert (status, body) == ("206", data[first : last + 1]), given
        assert fields["content-range"] == f"bytes {first}-{last}/100000"
    for given in ("100000-", "-0", "4294967295-"):
        status, fields, body = fetch(tap, "/100000.png", "-H", f"Range: bytes={given}")
        assert (status, body, fields["content-range"]) == ("416", b"", "bytes */100000"), given
    for given in ("bytes=5-4", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=", "bytes=-"):
        status, _, body = fetch(tap, "/100000.png", "-H", f"Range: {given}")
        assert (status, body) == ("200", data), given
    status, _, _ = fetch(tap, "/100000.png", "-H", "Range: bytes=0-9", "-H", 'If-Range: "x"')
    assert status == "200"
    check_sums(machine)


def test_many_clients_read_at_once(lab: Lab, site: tuple[Path, Path]) -> None:
    """16 downloads of 8 MB from one VM, some cut short by the client: every whole one is right, and
    the memory comes back."""
    folder, image = site
    machine, tap = serve(lab, image)
    url = f"http://{vm_address(1)}/big.bin"
    wanted = hashlib.sha256((folder / "big.bin").read_bytes()).hexdigest()
    script = (
        f"for i in 1 2 3 4; do timeout 0.05 curl -s -o /dev/null {url} & done; "
        f"for i in 1 2 3 4 5 6; do curl -s --max-time 60 {url} | sha256sum & done; wait"
    )
    out = tap.command("sh", "-c", script, seconds=90).stdout
    assert out.split().count(wanted) == 6, out
    status, _, _ = fetch(tap, "/")
    assert status == "200"
    check_sums(machine)


def test_damage_ends_the_response(lab: Lab, site: tuple[Path, Path]) -> None:
    """A damaged block in the middle of a file: the client gets less than announced, and knows; the
    other files are served."""
    _, image = site
    with Volume.open(image, change=True) as volume:
        disk = volume.find("site")
        volume.write(disk, disk.blocks // 2, bytes(BLOCK_SIZE))  # in the 8 MB
    assert "damaged" in mkdisk("verify", image, "site", status=1)
    machine, tap = serve(lab, image)
    failed = 0
    for name in ("/big.bin", "/index.html", "/style.css", "/100000.png"):
        url = f"http://{vm_address(1)}{name}"
        line = ["sh", "-c", f"curl -s --max-time 30 -o /dev/null {url} || echo short"]
        failed += tap.command(*line, seconds=40).stdout.count("short")
    assert failed == 1
    machine.expect("site: the disk fails")


@pytest.mark.quick
def test_mkdisk_packs_and_unpacks(lab: Lab) -> None:
    """A folder, to a disk, compacted to another, and back: the same files; what has no room, or
    can't be served, is refused."""
    top = lab.folder()
    folder = make_folder(top)
    image = top / "disk.img"
    mkdisk("create", image, "64M")
    mkdisk("add", image, "one", "16M")
    mkdisk("fill", image, "one", folder)
    assert "14 records" in mkdisk("records", image, "one")
    mkdisk("compact", image, "one", "two", "--size", "9M")
    assert "all is well" in mkdisk("verify", image, "two")
    mkdisk("unpack", image, "two", top / "back")
    for path in folder.rglob("*"):
        if path.is_file():
            assert (top / "back" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert "full" in mkdisk("compact", image, "one", "three", "--size", "1M", status=1)
    assert "three" not in mkdisk("list", image)
    mkdisk("add", image, "blank", "1M")
    assert "no store" in mkdisk("verify", image, "blank", status=1)
    (folder / ("x" * 70)).write_text("")
    assert "more than 63" in mkdisk("fill", image, "one", folder, status=1)
