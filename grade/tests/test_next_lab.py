# SPDX-License-Identifier: MIT
"""The course's repositories, and a student's way from lab to lab, with real git."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import branches, kernels
from labs.branches import EXTRAS, make_course, make_staff
from labs.course import CourseError, labs, load
from labs.stage import LOCAL, every_exercise, write_stage

pytestmark = pytest.mark.host
LABS = labs()
DATE = "2026-09-01T08:00:00+00:00"


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; give back what it printed."""
    line = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@b.invalid", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout.strip()


def step(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run labs/next.py in a student's tree."""
    environment = {**os.environ}
    for name in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{name}_NAME": "A", f"GIT_{name}_EMAIL": "a@b.invalid"}
    line = ["/usr/bin/python3", "labs/next.py", *arguments]
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course's repository; tests only read it."""
    folder = tmp_path_factory.mktemp("course") / "course"
    make_course(folder, DATE)
    return folder


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """No images in the trees, which take long to build; one test has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(branches, "EXTRAS", [])
        yield


@pytest.fixture
def student(course: Path, tmp_path: Path) -> Path:
    """A student's clone, as the course's README says."""
    git(tmp_path, "clone", "-q", str(course), "mine")
    return tmp_path / "mine"


def owned(lab: int) -> list[str]:
    """The files that are a student's in lab `lab`."""
    return [LOCAL, *(name for n in LABS if n <= lab for name in load(n).hole_files)]


def files(folder: Path) -> dict[str, bytes]:
    """The files of a tree that git knows."""
    listed = [name for name in git(folder, "ls-files", "-z").split("\0") if name]
    return {name: (folder / name).read_bytes() for name in listed}


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "work")


def test_each_branch_is_its_predecessor_and_one_commit(course: Path) -> None:
    """A student's history stays readable: one step of the staff's for each lab."""
    assert git(course, "branch", "--format=%(refname:short)").split() == [f"lab{n}" for n in LABS]
    assert git(course, "rev-parse", "--abbrev-ref", "HEAD") == "lab1"
    for before, after in zip(LABS, LABS[1:]):
        assert git(course, "rev-list", f"lab{before}..lab{after}", "--count") == "1"
        assert git(course, "rev-parse", f"lab{after}^") == git(course, "rev-parse", f"lab{before}")


def test_the_course_holds_no_solution(course: Path, tmp_path: Path) -> None:
    """No commit that a student can reach has a solved file; those are in the staff's repository."""
    make_staff(tmp_path / "staff", DATE)
    assert git(tmp_path / "staff", "rev-list", "solutions", "--count") == str(len(LABS))
    for exercise in (e for n in LABS for e in load(n).exercises):
        for lab in (n for n in LABS if n >= exercise.lab):
            handed_out = git(course, "show", f"lab{lab}:{exercise.file}")
            solved = git(tmp_path / "staff", "show", f"solutions-lab{lab}:{exercise.file}")
            assert handed_out != solved, exercise.number
    blobs = set(git(course, "rev-list", "--objects", "--all").split())
    for exercise in (e for n in LABS for e in load(n).exercises):
        solved = git(tmp_path / "staff", "rev-parse", f"solutions:{exercise.file}")
        assert solved not in blobs, exercise.file


def test_two_runs_give_the_same_commits(course: Path, tmp_path: Path) -> None:
    """A course made again from the same tree can be pushed over the old one."""
    make_course(tmp_path / "again", DATE)
    for lab in LABS:
        name = f"lab{lab}"
        assert git(tmp_path / "again", "rev-parse", name) == git(course, "rev-parse", name)


@pytest.mark.course
def test_images_are_in_the_trees_and_the_same_each_time(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is built of others is in the trees that need it, and nothing else is."""
    monkeypatch.setattr(branches, "EXTRAS", EXTRAS)
    made = []
    for name in ("one", "two"):
        kernels._kernels.cache_clear()
        made.append(make_course(tmp_path / name, DATE).git("rev-parse", f"lab{LABS[-1]}"))
    assert made[0] == made[1]
    for lab in LABS:
        with_images = set(git(tmp_path / "one", "ls-tree", "-r", "--name-only", f"lab{lab}").split())
        others = set(git(course, "ls-tree", "-r", "--name-only", f"lab{lab}").split())
        added = {name.rpartition("/")[0] for name in with_images - others}
        attacked = {kernels.WHERE} if lab >= kernels.LAB else set()
        assert added == {"demo/kern", "demo/user"} | attacked and others <= with_images


def test_a_course_made_again_gets_what_has_changed(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A correction in mid-term is one commit on the branches that it concerns; students who are
    at work get it by make update, and their history holds."""
    git(tmp_path, "clone", "-q", str(course), "mine")
    shutil.copytree(course, tmp_path / "course")
    git(tmp_path / "mine", "remote", "set-url", "origin", str(tmp_path / "course"))
    make_course(tmp_path / "course", DATE)
    for lab in LABS:
        name = f"lab{lab}"
        assert git(tmp_path / "course", "rev-parse", name) == git(course, "rev-parse", name)

    def correct(tree: Path, lab: int) -> None:
        if lab == LABS[0]:
            (tree / "kern/uart.c").write_text("corrected\n")

    monkeypatch.setattr(branches, "EXTRAS", [correct])
    make_course(tmp_path / "course", DATE)
    assert git(tmp_path / "course", "rev-parse", "lab1^") == git(course, "rev-parse", "lab1")
    assert git(tmp_path / "course", "rev-parse", "lab2") == git(course, "rev-parse", "lab2")
    done = step(tmp_path / "mine", "update")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine/kern/uart.c").read_text() == "corrected\n"
    assert step(tmp_path / "mine", "next").returncode == 0
    assert (tmp_path / "mine/kern/uart.c").read_text() != "corrected\n"


def test_work_of_the_staff_in_a_repository_is_not_written_over(course: Path, tmp_path: Path) -> None:
    """Who edits in the course's folder commits, or is told to."""
    shutil.copytree(course, tmp_path / "course")
    (tmp_path / "course/kern/uart.c").write_text("half a thought\n")
    with pytest.raises(CourseError, match="nobody committed"):
        make_course(tmp_path / "course", DATE)
    assert (tmp_path / "course/kern/uart.c").read_text() == "half a thought\n"


def test_a_commit_by_hand_is_not_undone(course: Path, tmp_path: Path) -> None:
    """The next run would take it back without a word: a correction belongs in the project's tree."""
    shutil.copytree(course, tmp_path / "course")
    name = f"lab{LABS[-1]}"
    git(tmp_path / "course", "checkout", "-q", name)
    (tmp_path / "course/kern/uart.c").write_text("a correction\n")
    commit(tmp_path / "course")
    by_hand = git(tmp_path / "course", "rev-parse", name)
    with pytest.raises(CourseError, match=f"by hand is on {name} .*: work"):
        make_course(tmp_path / "course", DATE)
    assert git(tmp_path / "course", "rev-parse", name) == by_hand
    git(tmp_path / "course", "branch", "-m", "ours")
    git(tmp_path / "course", "branch", name, "ours^")
    make_course(tmp_path / "course", DATE)
    assert git(tmp_path / "course", "rev-parse", "ours") == by_hand


@pytest.mark.parametrize("there", (False, True))
def test_a_run_that_is_interrupted_leaves_all_as_it_was(
    course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """Who ends it in the middle runs it again: no branch without its successors, no half tree."""
    if there:
        shutil.copytree(course, tmp_path / "course")

    def interrupted(tree: Path, lab: int) -> None:
        (tree / "kern/uart.c").write_text("corrected\n")
        if lab == LABS[-1]:
            raise KeyboardInterrupt

    monkeypatch.setattr(branches, "EXTRAS", [interrupted])
    with pytest.raises(KeyboardInterrupt):
        make_course(tmp_path / "course", DATE)
    assert not git(tmp_path / "course", "status", "--porcelain")
    names = git(tmp_path / "course", "for-each-ref")
    assert names == (git(course, "for-each-ref") if there else "")
    monkeypatch.setattr(branches, "EXTRAS", [])
    make_course(tmp_path / "course", DATE)
    assert git(tmp_path / "course", "for-each-ref") == git(course, "for-each-ref")
    assert not git(tmp_path / "course", "status", "--porcelain")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """A slip in DEST= must not put a repository over somebody's files."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("all my work\n")
    with pytest.raises(CourseError, match="isn't empty"):
        make_course(tmp_path / "mine", DATE)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_solutions_made_again_are_the_same_commits(tmp_path: Path) -> None:
    """The staff's branch grows by what is new, and by nothing else."""
    make_staff(tmp_path / "staff", DATE)
    before = git(tmp_path / "staff", "rev-parse", "solutions")
    make_staff(tmp_path / "staff", DATE)
    assert git(tmp_path / "staff", "rev-parse", "solutions") == before


def test_a_released_solution_has_no_later_lab_behind_it(tmp_path: Path) -> None:
    """After a correction in mid-term, too: who may fetch lab 1's solution can read all its history."""
    staff = tmp_path / "staff"
    make_staff(staff, DATE)
    before, first = git(staff, "rev-parse", "solutions"), f"solutions-lab{LABS[0]}"
    other = git(staff, "commit-tree", f"solutions-lab{LABS[1]}^{{tree}}", "-m", "old", "-p", first)
    git(staff, "tag", "-f", first, other)  # as it was before a correction
    make_staff(staff, DATE)
    for lab in LABS:
        behind = git(staff, "log", "--format=%s", f"solutions-lab{lab}")
        assert not any(f"Lab {later}, solved" in behind for later in LABS if later > lab), behind
    assert git(staff, "merge-base", before, "solutions") == before
    assert git(staff, "rev-parse", f"{first}^") == other and not git(staff, "status", "--porcelain")


@pytest.mark.parametrize("seed", range(6))
def test_what_a_student_wrote_always_carries_over(student: Path, seed: int) -> None:
    """Whatever was edited, added or deleted: it is in the next lab's tree, or in kept/."""
    rng = random.Random(seed)
    for lab in LABS[:-1]:
        wrote = scribble(student, rng, lab)
        staff = spoil(student, rng, lab)
        commit(student)
        mine = git(student, "rev-parse", "HEAD")
        done = step(student, "next")
        assert done.returncode == 0, done.stderr
        after = files(student)
        assert {name: after.get(name) for name in wrote} == wrote
        kept = after.get(f"kept/lab{lab}.patch", b"").decode(errors="replace")
        for name in staff:
            assert name in done.stdout and name in kept
        assert git(student, "rev-parse", "HEAD^1") == mine
        assert git(student, "rev-parse", "HEAD^2") == git(student, "rev-parse", f"origin/lab{lab + 1}")
        assert not git(student, "status", "--porcelain")
        others = set(git(student, "ls-tree", "-r", "--name-only", "HEAD^2").splitlines())
        for name in others - set(wrote) - set(owned(lab + 1)):
            assert after[name] == git_bytes(student, f"HEAD^2:{name}"), name


def git_bytes(folder: Path, name: str) -> bytes:
    """A file of a commit."""
    line = ["git", "-C", str(folder), "show", name]
    return subprocess.run(line, capture_output=True, check=True).stdout


def scribble(folder: Path, rng: random.Random, lab: int) -> dict[str, bytes]:
    """Edit some of the student's files, and add some; what they hold."""
    added = [f"kern/mine{rng.randrange(9)}.c", f"user/own{rng.randrange(9)}.c", "notes/ä b.txt"]
    names = [*rng.sample(owned(lab), 3), *added]
    wrote = {}
    for name in names:
        wrote[name] = rng.randbytes(rng.randrange(1, 400))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(wrote[name])
    return wrote


def spoil(folder: Path, rng: random.Random, lab: int) -> list[str]:
    """Change, or delete, a few files of the staff's; which."""
    staff = [n for n in files(folder) if n.startswith(("kern/", "lib/", "conf/")) and n.endswith((".c", ".h", ".py"))]
    handed_out = git(folder, "ls-tree", "-r", "--name-only", f"origin/lab{lab}").splitlines()
    chosen = rng.sample([n for n in staff if n in handed_out and n not in owned(lab)], 2)
    (folder / chosen[0]).write_bytes(rng.randbytes(100))
    (folder / chosen[1]).unlink()
    return chosen


def test_a_change_to_a_staff_file_can_be_applied_again(student: Path) -> None:
    """kept/labN.patch is a patch: what was changed isn't lost, only set aside."""
    text = (student / "kern/uart.c").read_text() + "/* faster */\n"
    (student / "kern/uart.c").write_text(text)
    commit(student)
    assert step(student, "next").returncode == 0
    assert (student / "kern/uart.c").read_text() != text
    git(student, "apply", "kept/lab1.patch")
    assert (student / "kern/uart.c").read_text().endswith("/* faster */\n")


def test_a_file_where_the_staff_has_a_folder_is_kept(student: Path) -> None:
    """No name is so odd that work gets lost: what can't stand where it stood is in the patch."""
    (student / "grade/lab2").write_text("a file of mine\n")
    (student / "kern/frame.c").unlink()
    (student / "kern/frame.c").mkdir()
    (student / "kern/frame.c/mine.c").write_text("int mine;\n")
    (student / ":(top)*").write_text("an odd name\n")
    git(student, "config", "diff.noprefix", "true")
    commit(student)
    done = step(student, "next")
    assert done.returncode == 0, done.stderr
    assert (student / "grade/lab2").is_dir() and (student / "kern/frame.c").is_file()
    assert (student / ":(top)*").read_text() == "an odd name\n"
    kept = (student / "kept/lab1.patch").read_text()
    assert "+a file of mine" in kept and "+int mine;" in kept and "b/grade/lab2" in kept
    assert not git(student, "status", "--porcelain")


def test_uncommitted_work_is_not_touched(student: Path) -> None:
    """Who forgot to commit is told so, and loses nothing."""
    (student / "kern/frame.c").write_text("half a thought\n")
    done = step(student, "next")
    assert done.returncode == 1 and "commit" in done.stderr
    assert (student / "kern/frame.c").read_text() == "half a thought\n"
    git(student, "checkout", "-q", "kern/frame.c")
    (student / "kern/new.c").write_text("int x;\n")
    done = step(student, "next")
    assert done.returncode == 1 and "kern/new.c" in done.stderr


def test_after_the_last_lab_there_is_none(student: Path) -> None:
    """The end of what is handed out is a plain sentence, not a traceback."""
    for _ in LABS[1:]:
        assert step(student, "next").returncode == 0
    done = step(student, "next")
    assert done.returncode == 1
    assert done.stderr == f"labs/next.py: the course (origin) has no lab {LABS[-1] + 1} yet\n"


def test_update_takes_corrections_and_keeps_what_was_written(course: Path, tmp_path: Path) -> None:
    """The staff corrects a lab in mid-term: the student's files stay, all others are the new ones."""
    git(tmp_path, "clone", "-q", "--bare", str(course), "remote")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote"), "mine")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote"), "staff")
    mine = tmp_path / "mine"
    assert "all that is there" in step(mine, "update").stdout
    (mine / "kern/frame.c").write_text("my frames\n")
    commit(mine)
    (tmp_path / "staff/kern/uart.c").write_text("corrected\n")
    (tmp_path / "staff/kern/frame.c").write_text("a better stub\n")
    commit(tmp_path / "staff")
    git(tmp_path / "staff", "push", "-q", "origin", "HEAD:lab1")
    assert step(mine, "update").returncode == 0
    assert (mine / "kern/uart.c").read_text() == "corrected\n"
    assert (mine / "kern/frame.c").read_text() == "my frames\n"


def test_next_lab_from_the_reference_waits_for_its_release(course: Path, tmp_path: Path) -> None:
    """Who failed a lab goes on from the staff's solution, once the staff has released it."""
    git(tmp_path, "clone", "-q", "--bare", str(course), "remote")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote"), "mine")
    mine = tmp_path / "mine"
    (mine / LOCAL).write_text("my own\n")
    commit(mine)
    done = step(mine, "next", "--reference")
    assert done.returncode == 1 and "isn't released yet" in done.stderr
    make_staff(tmp_path / "staff", DATE)
    git(tmp_path / "staff", "push", "-q", str(tmp_path / "remote"), "solutions-lab1^{}:refs/heads/solutions-lab1")
    assert step(mine, "next", "--reference").returncode == 0
    write_stage(tmp_path / "solved", 2, [e for e in every_exercise(2) if e.startswith("2.")])
    for name in load(1).hole_files:
        assert (mine / name).read_bytes() == (tmp_path / "solved" / name).read_bytes()
    assert (mine / LOCAL).read_text() == "my own\n"
    stub = (mine / load(2).hole_files[0]).read_text()
    assert "is yours to write" in stub
