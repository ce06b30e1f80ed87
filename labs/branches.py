#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Make the repositories of the course from this tree.

    labs/branches.py FOLDER

FOLDER/course   what students clone: branches lab1, lab2, ..., each its predecessor plus one commit, with
                every hole of its lab and of those before open; HEAD is the first
FOLDER/staff    apart from it, for nobody else: the branch `solutions`, one commit for each lab, and
                the tags solutions-lab1, ...: push one to the course as a branch of that name when its
                solutions may be seen (make next-lab FROM=reference takes them from there). No tag
                has a later lab's solution behind it

What is made depends on this tree and its last commit alone: author and dates are fixed, so that two
runs into new folders give the same commits. Run again with repositories that are there, in mid-term, it
adds a commit to each branch whose tree has changed, and to no other: make update takes those. Tags of
solutions move to the new ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labs import demo, kernels  # noqa: E402
from labs.course import CourseError, labs, load  # noqa: E402
from labs.stage import every_exercise, write_stage  # noqa: E402

AUTHOR = ("Denali course", "course@denali.invalid")

# What a stage's tree has besides its sources, such as images built of others: each is called with
# the tree and its lab when all else is there.
Extra = Callable[[Path, int], None]
EXTRAS: list[Extra] = [kernels.add_to_course, demo.add_to_course]


class Repository:
    """A repository that is made, or gone on with if its folder is there."""

    def __init__(self, folder: Path, date: str) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "GIT_AUTHOR_NAME": AUTHOR[0],
            "GIT_AUTHOR_EMAIL": AUTHOR[1],
            "GIT_COMMITTER_NAME": AUTHOR[0],
            "GIT_COMMITTER_EMAIL": AUTHOR[1],
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        self.is_new = not (folder / ".git").exists()
        if self.is_new:
            folder.mkdir(parents=True)  # one that is there is somebody's
            self.git("init", "-q")
        elif self.git("status", "--porcelain"):
            raise CourseError(f"{folder} has changes that nobody committed")

    def git(self, *arguments: str) -> str:
        """Run git here; CourseError with what it said if it fails."""
        line = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(
            line, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CourseError(f"git {arguments[0]} in {self.folder}: {done.stderr.strip()}")
        return done.stdout.strip()

    def take_branch(self, name: str) -> None:
        """Go to a branch; one that isn't there begins where HEAD is."""
        if self.git("branch", "--list", name):
            self.git("checkout", "-q", name)
        elif self.is_new:
            self.git("symbolic-ref", "HEAD", f"refs/heads/{name}")
        else:
            self.git("checkout", "-q", "-b", name)
        self.is_new = False

    def add_stage(self, lab: int, chosen: Collection[str]) -> None:
        """Replace the tree by that of stage `lab`, ready to be committed."""
        for path in self.folder.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_stage(self.folder, lab, chosen)
        if chosen:
            for extra in EXTRAS:
                extra(self.folder, lab)
        self.git("add", "-A", "-f")

    def follows(self, commit: str, earlier: str) -> bool:
        """Whether `commit` has `earlier` behind it, or is it; every commit has none ("") behind it."""
        if not earlier or not commit:
            return not earlier
        return self.git("merge-base", earlier, commit) == earlier

    def commit_tag(self, tag: str, message: str, parents: Collection[str]) -> None:
        """Commit what is ready, on no branch, and let `tag` name it."""
        behind = [word for parent in parents for word in ("-p", parent)]
        commit = self.git("commit-tree", self.git("write-tree"), "-m", message, *behind)
        self.git("tag", "-f", tag, commit)

    def differs(self, commit: str) -> bool:
        """Whether what is ready to be committed isn't the tree of `commit`."""
        return self.git("write-tree") != self.git("rev-parse", f"{commit}^{{tree}}")


def make_course(folder: Path, date: str) -> Repository:
    """The repository that students clone, or corrections to it; CourseError says what is wrong."""
    course = Repository(folder, date)
    for lab in labs():
        correction = bool(course.git("branch", "--list", f"lab{lab}"))
        course.take_branch(f"lab{lab}")
        course.add_stage(lab, every_exercise(lab))
        if not correction:
            course.git("commit", "-q", "-m", f"Lab {lab}: {load(lab).title}")
        elif course.differs("HEAD"):
            course.git("commit", "-q", "-m", f"Corrections to lab {lab}: {load(lab).title}")
    course.take_branch(f"lab{labs()[0]}")
    return course


def make_staff(folder: Path, date: str) -> Repository:
    """The repository with the solutions, or newer ones on top; CourseError says what is wrong.

    A lab's solution is released by its tag, with all that is behind it: so it has for parents the
    lab's solution before it and that of the lab before, and never one of a later lab.
    """
    staff = Repository(folder, date)
    staff.take_branch("solutions")
    last = ""
    for lab in labs():
        staff.add_stage(lab, ())
        tag = f"solutions-lab{lab}"
        old = staff.git("rev-parse", f"{tag}^{{commit}}") if staff.git("tag", "--list", tag) else ""
        if not old or staff.differs(old) or not staff.follows(old, last):
            parents = [last] if staff.follows(last, old) else [old, last]
            staff.commit_tag(tag, f"Lab {lab}, solved: {load(lab).title}", list(filter(None, parents)))
        last = staff.git("rev-parse", f"{tag}^{{commit}}")
    staff.git("update-ref", "refs/heads/solutions", last)
    staff.git("reset", "-q", "--hard")
    return staff


def head_date() -> str:
    """When this tree was committed last, as git takes it."""
    line = ["git", "-C", str(ROOT), "log", "-1", "--format=%cI"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "2026-01-01T00:00:00+00:00"


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(argv[1])
    try:
        date = head_date()
        make_course(folder / "course", date)
        make_staff(folder / "staff", date)
    except (CourseError, OSError) as error:
        print(f"labs/branches.py: {error}", file=sys.stderr)
        return 1
    names = ", ".join(f"lab{lab}" for lab in labs())
    print(f"{folder}/course: branches {names}, for students")
    print(f"{folder}/staff: branch solutions, for nobody else")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
