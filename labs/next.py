#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Take the next lab, or corrections to this one, into a student's tree, without merging text.

    labs/next.py next [--reference]     the next lab's tree (make next-lab [FROM=reference])
    labs/next.py update                 the staff's corrections to this lab (make update)

The new tree is the staff's, taken whole, and in it the student's own files as they are: those with
exercises, kern/local.h, and all that was added. Nothing is merged, so nothing can conflict. A change
to a file of the staff's goes to kept/labN.patch, and is told. The commit has two parents, the
student's last one and the staff's. --reference takes the files with exercises of the labs so far from
the staff's solution instead, once that is released as the branch solutions-labN.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from labs.course import CourseError, labs, load  # noqa: E402

REMOTE = "origin"
STAGE = "labs/stage"
LOCAL = "kern/local.h"
KEPT = "kept"


class NextError(Exception):
    """The step can't be taken; nothing was changed."""


@dataclass(frozen=True)
class Entry:
    """A file of a commit's tree."""

    mode: str
    blob: str


Tree = dict[str, Entry]


def git(*arguments: str, data: bytes | None = None, index: str = "", check: bool = True) -> bytes:
    """Run git in the tree; NextError with what it said if it fails and `check`."""
    environment = {**os.environ, "GIT_INDEX_FILE": index} if index else None
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments],
        input=data,
        capture_output=True,
        env=environment,
        check=False,
    )
    if check and done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise NextError(f"git {arguments[0]}: {said}")
    return done.stdout


def tree_of(commit: str) -> Tree:
    """The files of a commit."""
    found = {}
    for line in git("ls-tree", "-r", "-z", commit).split(b"\0"):
        if line:
            facts, _, name = line.partition(b"\t")
            mode, _, blob = facts.decode().split()
            found[os.fsdecode(name)] = Entry(mode, blob)
    return found


def commit_named(name: str) -> str:
    """The commit that a name stands for, or ""."""
    return git("rev-parse", "-q", "--verify", f"{name}^{{commit}}", check=False).decode().strip()


def check_clean() -> None:
    """NextError unless all work is committed."""
    if commit_named("HEAD") == "":
        raise NextError("this is no git clone of the course")
    if git("status", "--porcelain", "--untracked-files=no").strip():
        raise NextError("you have changes that aren't committed: git commit -a, then again")
    untracked = git("ls-files", "--others", "--exclude-standard", "kern", "user").decode()
    if untracked.strip():
        names = ", ".join(untracked.split())
        raise NextError(f"git doesn't know these files of yours: {names}: git add them, and commit")


def owned(lab: int) -> set[str]:
    """The files that are a student's in every tree up to lab `lab`."""
    known = (load(number, ROOT) for number in labs(ROOT) if number <= lab)
    return {LOCAL, *(name for spec in known for name in spec.hole_files)}


def kept_name(lab: int, trees: Iterable[Tree]) -> str:
    """A name in kept/ that isn't taken."""
    taken = {name for tree in trees for name in tree}
    number, name = 1, f"{KEPT}/lab{lab}.patch"
    while name in taken:
        number += 1
        name = f"{KEPT}/lab{lab}-{number}.patch"
    return name


def in_the_way(name: str, tree: Tree) -> bool:
    """Whether a file of this name would stand where `tree` has a folder, or the other way round."""
    above = any(str(folder) in tree for folder in PurePosixPath(name).parents)
    return above or any(other.startswith(f"{name}/") for other in tree)


def compose(base: str, target: str, reference: str, lab: int) -> tuple[Tree, list[str], str]:
    """The new tree; the staff's files that the student had changed; the name of their patch, or "".

    `base` is the staff's commit that the student's tree is built on."""
    mine, old, new = tree_of("HEAD"), tree_of(base), tree_of(target)
    solved = tree_of(reference) if reference else {}
    result = dict(new)
    changed = []
    for name in owned(lab):
        if name in mine:
            result[name] = mine[name]
        if name in solved and name != LOCAL:
            result[name] = solved[name]
    for name in sorted((set(mine) | set(old)) - owned(lab)):
        if name not in old and name not in new and not in_the_way(name, new):
            result[name] = mine[name]  # the student added it
        elif mine.get(name) != old.get(name) and mine.get(name) != new.get(name):
            changed.append(name)
    patch = ""
    if changed:
        patch = kept_name(lab, (mine, new))
        compare = ("--literal-pathspecs", "diff-tree", "-r", "-p", "--binary")
        text = git(*compare, base, "HEAD", "--", *changed)
        blob = git("hash-object", "-w", "--stdin", data=text).decode().strip()
        result[patch] = Entry("100644", blob)
    return result, changed, patch


def commit(tree: Tree, target: str, message: str) -> None:
    """Commit `tree` on top of the student's last commit and the staff's, and check it out."""
    with tempfile.TemporaryDirectory() as folder:
        index = f"{folder}/index"
        lines = [f"{e.mode} {e.blob}\t".encode() + os.fsencode(n) for n, e in tree.items()]
        git("update-index", "-z", "--index-info", data=b"\0".join(lines) + b"\0", index=index)
        written = git("write-tree", index=index).decode().strip()
    parents = ["-p", "HEAD", "-p", target]
    made = git("commit-tree", written, *parents, "-m", message).decode().strip()
    git("merge", "-q", "--ff-only", made)  # the student's commit is its first parent


def fetch() -> None:
    """Ask the course for what is new; without it, go on with what was fetched last."""
    line = ["git", "-C", str(ROOT), "fetch", "-q", REMOTE]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"labs/next.py: can't ask {REMOTE}: {done.stderr.strip()}", file=sys.stderr)


def staff_commit(lab: int) -> str:
    """The course's commit for a lab; NextError if it isn't there."""
    found = commit_named(f"{REMOTE}/lab{lab}")
    if not found:
        raise NextError(f"the course ({REMOTE}) has no lab {lab} yet")
    return found


def base_commit(lab: int) -> str:
    """The staff's commit that this tree is built on."""
    found = git("merge-base", "HEAD", staff_commit(lab), check=False).decode().strip()
    if not found:
        raise NextError(f"your commits don't begin at the course's lab {lab}")
    return found


def step(lab: int, wanted: int, from_reference: bool) -> None:
    """Go from lab `lab` to lab `wanted`, which may be the same."""
    check_clean()
    fetch()
    target, base = staff_commit(wanted), base_commit(lab)
    if git("merge-base", "HEAD", target).decode().strip() == target:
        print(f"lab {wanted}: you have all that is there")
        return
    reference = ""
    if from_reference:
        reference = commit_named(f"{REMOTE}/solutions-lab{lab}")
        if not reference:
            raise NextError(f"the solution of lab {lab} isn't released yet")
    tree, changed, patch = compose(base, target, reference, lab)
    verb = f"Lab {wanted}" if wanted != lab else f"Corrections to lab {lab}"
    commit(tree, target, f"{verb}, with what was written so far\n")
    print(f"lab {wanted}: the tree is the course's now, with your files in it")
    if wanted != lab:
        print(f"read handouts/lab{wanted}.md; exercises: {', '.join(load(wanted, ROOT).hole_files)}")
    if reference:
        print(f"the files with exercises are the solution of lab {lab}; yours: git show HEAD^1:FILE")
    if changed:
        print(f"you had changed files of the staff's; your changes are in {patch}:")
        for name in changed:
            print(f"  {name}")


def main(argv: list[str]) -> int:
    """Run the command line of the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("step", choices=("next", "update"))
    parser.add_argument("--reference", action="store_true", help="with the staff's solution so far")
    arguments = parser.parse_args(argv[1:])
    try:
        lab = int((ROOT / STAGE).read_text())
        wanted = lab + 1 if arguments.step == "next" else lab
        step(lab, wanted, arguments.reference)
    except (NextError, CourseError, OSError, ValueError) as error:
        print(f"labs/next.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
