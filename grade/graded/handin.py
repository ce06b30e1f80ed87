#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`make handin`: the archive that a student hands in; and what a grader takes of one.

    grade/graded/handin.py [--build FOLDER] [--cc gcc]    in a course's tree

FOLDER/handin-labN.tar.gz has the student's files, and MANIFEST.json with their checksums. What is
taken of an archive, or of a folder, is only what a student may own: regular files with the names of
sources in kern/ and user/, each and all of a bounded size. Links, devices, other names are not taken,
and that is told.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import stat
import sys
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from grade.graded import build, submission  # noqa: E402
from grade.harness.keeper import make_folder, remove_folder  # noqa: E402
from labs.course import labs, load  # noqa: E402

MANIFEST = "MANIFEST.json"
FILE_BYTES = 1 << 20
FILES = 200
ARCHIVE_BYTES = 64 << 20
# A program may be a folder. But kern/lib/types.h would be found in place of the staff's lib/types.h.
_STAFFS = r"(?!(?:kern|lib|ilwaco|user|grade|labs|conf)/)"
_NAME = re.compile(rf"(?:kern|ilwaco|user(?:/{_STAFFS}\w[\w.-]*)?)/\w[\w.-]*\.(?:c|h|S)", re.ASCII)
_FOLDERS = ("kern", "user", "ilwaco")
_STUB = "is yours to write"


class HandinError(Exception):
    """There is nothing to hand in, or nothing that can be graded; the text says why."""


@dataclass
class Submission:
    """A student's files by name, and what of theirs was not taken, with the reason."""

    files: dict[str, bytes] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    lab: int | None = None  # of which it says it is; a folder says nothing

    def add(self, name: str, regular: bool, size: int, content: bytes | None) -> None:
        """Take one file, if it may be."""
        if name == MANIFEST:
            self.lab = _lab_of(content or b"")
            return
        why = ""
        if not regular:
            why = "not a regular file"
        elif not _NAME.fullmatch(name) or ".." in name:
            why = "not the name of a source in kern/ or user/, or of a program's in a folder of user/"
        elif size > FILE_BYTES:
            why = f"larger than {FILE_BYTES} bytes"
        elif len(self.files) >= FILES:
            why = f"more than {FILES} files"
        if why or content is None:
            self.refused.append(f"{name!r}: {why or 'unreadable'}")
        else:
            self.files[name] = content


def read(path: Path) -> Submission:
    """A submission: a folder with a tree, or the archive of `make handin`, also as the only one of a
    folder. HandinError if it is neither."""
    if path.is_dir():
        trees = [path] if (path / "kern").exists() else sorted(k.parent for k in path.glob("*/kern"))
        archives = [] if trees else sorted(path.glob("*.tar.gz"))
        if len(trees) + len(archives) > 1:
            names = ", ".join(one.name for one in (*trees, *archives))
            raise HandinError(f"{path}: which of these is it? {names}")
        if not archives:
            return _read_folder(trees[0] if trees else path)
        path = archives[0]
    if not path.is_file():
        raise HandinError(f"{path}: no such file or folder")
    if path.stat().st_size > ARCHIVE_BYTES:
        raise HandinError(f"{path}: larger than {ARCHIVE_BYTES} bytes")
    try:
        with open(path, "rb") as file:
            if file.read(2) == b"PK":
                raise HandinError(f"{path}: a zip archive, not the .tar.gz of make handin")
        return _read_archive(path)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise HandinError(f"{path}: not an archive of make handin: {error}") from error


def _read_folder(folder: Path) -> Submission:
    found = Submission()
    for name in _FOLDERS:
        if (folder / name).is_symlink():
            found.refused.append(f"{name!r}: not a regular folder")
            continue
        for path in sorted((folder / name).rglob("*")):
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode) or path.suffix not in (".c", ".h", ".S"):
                continue
            if any(parent.is_symlink() for parent in path.parents if folder in parent.parents):
                continue
            if _is_staffs(str(path.relative_to(folder))):
                continue
            regular = stat.S_ISREG(facts.st_mode)
            small = regular and facts.st_size <= FILE_BYTES
            content = path.read_bytes() if small else None
            found.add(str(path.relative_to(folder)), regular, facts.st_size, content)
    return found


def _is_staffs(name: str) -> bool:
    """Whether a tree has it from the staff: nothing of a submission, and not worth a word."""
    owned = {file for lab in labs(ROOT) for file in load(lab, ROOT).hole_files}
    staffs = any((ROOT / place / name).is_file() for place in ("", "labs/stub"))
    return staffs and name not in owned and name != submission.LOCAL


def _read_archive(path: Path) -> Submission:
    found = Submission()
    with gzip.open(path) as packed:
        unpacked = packed.read(ARCHIVE_BYTES + 1)
    if len(unpacked) > ARCHIVE_BYTES:
        raise HandinError(f"{path}: larger than {ARCHIVE_BYTES} bytes when unpacked")
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        top = _top(archive)
        for count, member in enumerate(archive):
            if count > 2 * FILES:
                raise HandinError(f"{path}: more than {2 * FILES} entries")
            if member.isdir():
                continue
            regular = member.isreg()
            content = None
            if regular and member.size <= FILE_BYTES:
                stream = archive.extractfile(member)
                content = stream.read() if stream else None
            found.add(member.name.removeprefix("./").removeprefix(top), regular, member.size, content)
    return found


def _top(archive: tarfile.TarFile) -> str:
    """The folder that an archive's files are all in, if somebody has packed a tree with its name."""
    names = [member.name.removeprefix("./") for member in archive if not member.isdir()]
    tops = {name.partition("/")[0] for name in names}
    packed = len(tops) == 1 and not tops & set(_FOLDERS) and all("/" in name for name in names)
    return f"{tops.pop()}/" if packed else ""


def _lab_of(manifest: bytes) -> int | None:
    try:
        lab = json.loads(manifest)["lab"]
    except (ValueError, KeyError, TypeError):
        return None
    return lab if isinstance(lab, int) else None


def pack(root: Path, lab: int, archive: Path) -> list[str]:
    """Write the archive of the tree at `root`; the names that are in it. HandinError if nothing was
    written yet."""
    names = submission.owned_files(root, lab)
    mine = {name: (root / name).read_bytes() for name in names}
    exercises = [e for e in load(lab, root).exercises]
    if all(_untouched(mine.get(e.file, b""), e.functions) for e in exercises):
        raise HandinError(f"there is nothing of lab {lab} to hand in: every exercise's line still stands")
    facts = {
        "lab": lab,
        "submission": submission.submission_hash(root, lab),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in mine.items()},
    }
    mine[MANIFEST] = (json.dumps(facts, indent=1) + "\n").encode()
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as out:
        for name, content in sorted(mine.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            out.addfile(member, io.BytesIO(content))
    return sorted(names)


def _untouched(content: bytes, functions: tuple[str, ...]) -> bool:
    """Whether every stub of an exercise still stands."""
    text = content.decode(errors="replace")
    return all(f"{name} {_STUB}" in text for name in functions)


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build"))
    parser.add_argument("--cc", default="gcc")
    arguments = parser.parse_args(argv[1:])
    if not build.STAGE.exists():
        print("make handin: this is no course tree", file=sys.stderr)
        return 1
    lab = int(build.STAGE.read_text())
    archive = arguments.build / f"handin-lab{lab}.tar.gz"
    copy = make_folder()
    try:
        if lab not in labs(ROOT):
            raise HandinError(f"lab {lab} has no exercises here")
        names = pack(ROOT, lab, archive)
        build.build(build.plan(lab, arguments.build), arguments.cc, 2, copy)
    except (HandinError, build.BuildError) as error:
        kind = "" if isinstance(error, HandinError) else "your tree doesn't build:\n"
        archive.unlink(missing_ok=True)
        print(f"make handin: {kind}{error}", file=sys.stderr)
        return 1
    finally:
        remove_folder(copy)
    print(f"{archive}: {len(names)} files of lab {lab}, the one to hand in")
    changed = submission.changed_staff_files(ROOT)
    if changed:
        print(f"not in it, as they are the staff's: {', '.join(changed)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
