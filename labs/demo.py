#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Build what `make demo` shows: the finished kernel and a web server, without symbols.

    labs/demo.py FOLDER

FOLDER gets them as a build folder has them (kern/denali, user/httpd), so that conf/run boots them. A
course's tree has them in demo/: students see what they will build before they have built it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labs.course import CourseError  # noqa: E402

WHERE = "demo"  # in a course tree
IMAGES = ("kern/denali", "user/httpd")


def build_demo(folder: Path) -> None:
    """Build the images into `folder`. CourseError if that fails."""
    with tempfile.TemporaryDirectory() as temporary:
        line = ["make", "-s", "-C", str(ROOT), "SETUP=no", "LAB=7", f"O={temporary}"]
        _run([*line, *(f"{temporary}/{image}" for image in IMAGES)])
        for image in IMAGES:
            (folder / image).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(temporary) / image, folder / image)
            (folder / image).chmod(0o755)
            _run(["strip", "--strip-all", str(folder / image)])


def add_to_course(tree: Path, lab: int) -> None:
    """The branches' extra: the images are in every lab's tree."""
    del lab
    build_demo(tree / WHERE)


def _run(line: list[str]) -> None:
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CourseError(f"{' '.join(line[:2])} failed:\n{(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build_demo(Path(sys.argv[1]).resolve())
