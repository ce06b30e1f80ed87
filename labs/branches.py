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
solutions move to the new ones. Whatever stops it in between leaves the repositories as they were.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
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
    """A repository that is made, or gone on with if its folder is there.

    Trees are made in temporary folders, and what names them is written last, all at once: who ends
    the program before that leaves everything as it was.
    """

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
        if not (folder / ".git").exists():
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise CourseError(f"{folder} is there, isn't empty, and is no repository: take another")
            self.git("init", "-q")
        elif self.git("status", "--porcelain"):
            raise CourseError(
                f"{folder} has changes that nobody committed: keep them with `git -C {folder} stash -u`, "
                f"or drop them with `git -C {folder} reset --hard`"
            )

    def git(self, *arguments: str, lines: str = "", **environment: str) -> str:
        """Run git here, with `lines` for input; CourseError with what it said if it fails."""
        line = ["git", "-C", str(self.folder), *arguments]
        done = subprocess.run(
            line,
            env={**self._environment, **environment},
            input=lines,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CourseError(f"git {arguments[0]} in {self.folder}: {done.stderr.strip()}")
        return done.stdout.strip()

    def commit_of(self, name: str) -> str:
        """What a branch or tag names, "" if there is none such."""
        found = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{name}", f"refs/tags/{name}")
        return self.git("rev-parse", f"{found}^{{commit}}") if found else ""

    def nothing_by_hand(self, branch: str) -> None:
        """CourseError if somebody else committed to a branch last: the next commit would undo that."""
        if not self.commit_of(branch):
            return
        email, _, subject = self.git("log", "-1", "--format=%ce %h: %s", branch).partition(" ")
        if email != AUTHOR[1]:
            raise CourseError(
                f"{self.folder}: a commit made by hand is on {branch} ({subject}). It would be undone: "
                f"change this tree instead, and take the commit off {branch} (give it a branch of its own)"
            )

    def stage(self, lab: int, chosen: Collection[str]) -> str:
        """The name of the tree of stage `lab` with the exercises `chosen` open."""
        with tempfile.TemporaryDirectory() as temporary:
            tree = Path(temporary) / "tree"
            write_stage(tree, lab, chosen)
            for extra in EXTRAS if chosen else ():
                extra(tree, lab)
            index = {"GIT_INDEX_FILE": f"{temporary}/index"}
            self.git("--work-tree", str(tree), "add", "-A", "-f", ".", **index)
            return self.git("write-tree", **index)

    def differs(self, tree: str, commit: str) -> bool:
        """Whether `tree` isn't that of `commit`."""
        return tree != self.git("rev-parse", f"{commit}^{{tree}}")

    def follows(self, commit: str, earlier: str) -> bool:
        """Whether `commit` has `earlier` behind it, or is it; every commit has none ("") behind it."""
        if not earlier or not commit:
            return not earlier
        return self.git("merge-base", earlier, commit) == earlier

    def commit(self, tree: str, message: str, parents: Collection[str]) -> str:
        """A commit of `tree`, which nothing names yet."""
        behind = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, "-m", message, *behind)

    def finish(self, names: Mapping[str, str], head: str) -> None:
        """Let the names (refs/...) mean these commits, and the folder show the branch `head`."""
        self.git("update-ref", "--stdin", lines="".join(f"update {k} {v}\n" for k, v in names.items()))
        self.git("symbolic-ref", "HEAD", f"refs/heads/{head}")
        self.git("reset", "-q", "--hard")


def make_course(folder: Path, date: str) -> Repository:
    """The repository that students clone, or corrections to it; CourseError says what is wrong."""
    course = Repository(folder, date)
    names: dict[str, str] = {}
    last = ""
    for lab in labs():
        course.nothing_by_hand(f"lab{lab}")
    for lab in labs():
        tree = course.stage(lab, every_exercise(lab))
        old = course.commit_of(f"lab{lab}")
        if not old:
            last = course.commit(tree, f"Lab {lab}: {load(lab).title}", list(filter(None, [last])))
        elif course.differs(tree, old):
            last = course.commit(tree, f"Corrections to lab {lab}: {load(lab).title}", [old])
        else:
            last = old
        names[f"refs/heads/lab{lab}"] = last
        print(f"  {folder}: lab{lab}", flush=True)
    course.finish(names, f"lab{labs()[0]}")
    return course


def make_staff(folder: Path, date: str) -> Repository:
    """The repository with the solutions, or newer ones on top; CourseError says what is wrong.

    A lab's solution is released by its tag, with all that is behind it: so it has for parents the
    lab's solution before it and that of the lab before, and never one of a later lab.
    """
    staff = Repository(folder, date)
    staff.nothing_by_hand("solutions")
    names: dict[str, str] = {}
    last = ""
    for lab in labs():
        tag = f"solutions-lab{lab}"
        tree, old = staff.stage(lab, ()), staff.commit_of(tag)
        if old and not staff.differs(tree, old) and staff.follows(old, last):
            last = old
        else:
            parents = [last] if staff.follows(last, old) else [old, last]
            last = staff.commit(tree, f"Lab {lab}, solved: {load(lab).title}", list(filter(None, parents)))
        names[f"refs/tags/{tag}"] = last
        print(f"  {folder}: {tag}", flush=True)
    staff.finish({**names, "refs/heads/solutions": last}, "solutions")
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
