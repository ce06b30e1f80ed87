#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Build the kernels that an attack is judged by (lab 2, exercise 2.8): some wrong, some right.

    labs/kernels.py FOLDER

Each labs/lab2/kernels/*.patch makes the reference of stage 2 wrong in one promise that a guest can
see broken; the right ones are the reference, and an honest alternative to it. FOLDER gets each as a
stripped image with a name that says nothing, and index.json, which says what is right or wrong.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labs.course import CourseError  # noqa: E402
from labs.stage import write_stage  # noqa: E402

LAB = 2
WHERE = f"grade/lab{LAB}/kernels"  # in a course tree, and in a build folder
INDEX = "index.json"
PATCHES = f"labs/lab{LAB}/kernels"
ALTERNATIVES = f"labs/lab{LAB}/alternatives"


def build_kernels(folder: Path) -> None:
    """Build all of them into `folder`, which is emptied first. CourseError if one can't be built."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    index: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        write_stage(tree, LAB, ())
        index[_build(tree, folder)] = "right"
        for patch in sorted((ROOT / PATCHES).glob("*.patch")):
            _run(["patch", "-s", "-p1", "-i", str(patch)], tree)
            index[_build(tree, folder)] = "wrong"
            _run(["patch", "-s", "-R", "-p1", "-i", str(patch)], tree)
        alternatives = sorted(path for path in (ROOT / ALTERNATIVES).iterdir() if path.is_dir())
        shutil.copytree(
            alternatives[0], tree, copy_function=shutil.copyfile, dirs_exist_ok=True
        )  # with times of now: make is to see them
        index[_build(tree, folder)] = "right"
    (folder / INDEX).write_text(json.dumps(dict(sorted(index.items())), indent=1) + "\n")


def add_to_course(tree: Path, lab: int) -> None:
    """The branches' extra: from stage 2 on, the kernels are in the tree."""
    if lab >= LAB:
        for name, image in _kernels().items():
            (tree / WHERE).mkdir(parents=True, exist_ok=True)
            (tree / WHERE / name).write_bytes(image)


@functools.cache
def _kernels() -> dict[str, bytes]:
    """What build_kernels makes, made once: later stages have the same."""
    with tempfile.TemporaryDirectory() as folder:
        build_kernels(Path(folder) / "kernels")
        return {path.name: path.read_bytes() for path in (Path(folder) / "kernels").iterdir()}


def _build(tree: Path, folder: Path) -> str:
    """Build the tree's kernel and put it into `folder`; its name there."""
    _run(["make", "-s", "SETUP=no", f"LAB={LAB}", "O=out", "out/kern/denali"], tree)
    image = tree / "out/kern/stripped"
    _run([os.environ.get("OBJCOPY", "objcopy"), "--strip-all", "out/kern/denali", str(image)], tree)
    name = hashlib.sha256(image.read_bytes()).hexdigest()[:8]
    if (folder / name).exists():
        raise CourseError(f"two kernels for {folder} are the same")
    shutil.copyfile(image, folder / name)
    return name


def _run(line: list[str], folder: Path) -> None:
    """Run a command, as make's child wouldn't: no flags of a make above it."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CourseError(f"{' '.join(line)}: {(done.stdout + done.stderr).strip()[-2000:]}")


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        build_kernels(Path(argv[1]).resolve())
    except CourseError as error:
        print(f"labs/kernels.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
