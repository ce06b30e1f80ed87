# SPDX-License-Identifier: MIT
"""What an instructor grades with: what is taken of a submission, where it is built, and what is told."""

from __future__ import annotations

import argparse
import csv
import importlib.machinery
import importlib.util
import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from grade.export import gradescope_json, junit, page, sheet
from grade.graded import handin, local_header, sandbox
from grade.graded.assemble import graft, taken, whole
from grade.graded.handin import HandinError, Submission
from grade.graded.results import ExerciseResult, GradingResult, TestResult
from grade.harness.keeper import make_folder, remove_folder
from labs.course import labs, load
from labs.stage import write_stage

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.host


# --- what is taken --------------------------------------------------------------


def _archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


HOSTILE = {
    "a link": _entry("kern/frame.c", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": _entry("kern/frame.c", tarfile.LNKTYPE, "kern/mine.c"),
    "a device": _entry("kern/frame.c", tarfile.CHRTYPE),
    "a pipe": _entry("kern/frame.c", tarfile.FIFOTYPE),
    "an absolute name": _entry("/kern/frame.c"),
    "a name that leaves": _entry("kern/../../frame.c"),
    "another folder": _entry("grade/conftest.py"),
    "a makefile": _entry("kern/Makefrag"),
    "a name for make": _entry("kern/$(shell id).c"),
    "a name in two lines": _entry("kern/a\nb.c"),
    "a header that hides one of lib/": _entry("kern/lib/types.h"),
    "a header that hides one of kern/": _entry("kern/kern/x86.h"),
    "a header that hides one of Ilwaco's": _entry("user/ilwaco/vinstr.h"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_only_sources_are_taken_of_an_archive(tmp_path: Path, kind: str) -> None:
    """An archive is a stranger's: nothing in it names a place outside, or is anything but a file."""
    good = (_entry("kern/mine.c"), b"int mine;\n")
    found = handin.read(_archive(tmp_path / "in.tar.gz", good, (HOSTILE[kind], b"")))
    assert found.files == {"kern/mine.c": b"int mine;\n"}
    assert len(found.refused) == 1 and found.refused[0].isprintable()


def test_a_file_is_of_a_bounded_size(tmp_path: Path) -> None:
    """A compiler reads all of what it is given."""
    large = b"\n" * (handin.FILE_BYTES + 1)
    found = handin.read(_archive(tmp_path / "in.tar.gz", (_entry("kern/mine.c"), large)))
    assert not found.files and "larger" in found.refused[0]


def test_an_archive_does_not_unpack_without_end(tmp_path: Path) -> None:
    """A few kilobytes of gzip may stand for gigabytes."""
    huge = (_entry("kern/mine.c"), bytes(handin.ARCHIVE_BYTES + 1))
    with pytest.raises(HandinError, match="larger"):
        handin.read(_archive(tmp_path / "in.tar.gz", huge))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """A student who hands in the wrong file is told so."""
    for content in (b"", b"not an archive", b"\x1f\x8b\x08\x00 cut short"):
        (tmp_path / "in.tar.gz").write_bytes(content)
        with pytest.raises(HandinError):
            handin.read(tmp_path / "in.tar.gz")


def test_no_link_of_a_folder_is_followed(tmp_path: Path) -> None:
    """A link in a submission would have the grader read its own files."""
    secret = tmp_path / "secret.c"
    secret.write_text("secret\n")
    tree = tmp_path / "tree"
    (tree / "kern/sub").mkdir(parents=True)
    (tree / "kern/mine.c").write_text("int mine;\n")
    (tree / "kern/frame.c").symlink_to(secret)
    (tree / "kern/linked").symlink_to(tmp_path)
    (tree / "user").symlink_to(tmp_path)
    found = handin.read(tree)
    assert set(found.files) == {"kern/mine.c"}
    assert any("frame.c" in line for line in found.refused)


_GUARDED = "#ifndef KERN_LOCAL_H\n#define KERN_LOCAL_H\n%s\n#endif\n"
DECLARES = {
    "nothing": "struct vm_local {\n};",
    "what the lab says": '#include "lib/types.h" // #pragma\n#define LOCAL_SLOTS 4\nstruct vm;\n'
    "struct vm_local {\n\tu32 slots[LOCAL_SLOTS]; /* #define of\n * asm */\n};\n"
    'static inline u32 twice(u32 n) { return 2 * n; }\nextern const char name[]; // "asm"',
}
REWRITES = {
    "a macro": "#define driver_timers_cost not_me",
    "a macro behind a comment": "/* */ # /* */ define memset mine",
    "a macro by a digraph": "%:define memset mine",
    "a macro in two lines": "#\\\ndefine memset mine",
    "a name of the file's own for the driver": "#ifdef GRADE_DRIVER_H\n#endif",
    "a symbol's name": 'extern int mine __asm__("driver_count");',
    "an attribute": 'void mine(void) __attribute__((alias("driver_count")));',
    "a pragma": "#pragma redefine_extname mine driver_count",
    "another pragma": '_Pragma("weak driver_count")',
    "a header of the student's": '#include "kern/mine.h"',
    "a file of the host's": "#include </etc/passwd>",
    "assembly behind a string": 'const char *s = "/*"; asm("nop"); // */',
}


@pytest.mark.parametrize("what", [*DECLARES, *REWRITES])
def test_local_h_only_declares(what: str) -> None:
    """The record of a VM contains its struct, so it is compiled into the grader's driver."""
    found = list(local_header.faults(_GUARDED % (DECLARES | REWRITES)[what]))
    assert bool(found) == (what in REWRITES), found


@pytest.mark.parametrize("lab", labs())
def test_a_folder_gives_what_an_archive_gives(tmp_path: Path, lab: int) -> None:
    """A tree has hundreds of the staff's sources; none of a student's may be lost among them."""
    write_stage(tmp_path / "tree", lab, ())
    (tmp_path / "tree/kern/mine.c").write_text("int mine;\n")
    found = handin.read(tmp_path / "tree")
    mine = {name for n in range(1, lab + 1) for name in load(n).hole_files} | {"kern/local.h", "kern/mine.c"}
    assert set(found.files) == mine and not found.refused


def test_a_tree_in_a_folder_is_found(tmp_path: Path) -> None:
    """People pack what they have in the way that their file manager does."""
    deep = (_entry("anna/kern/frame.c"), b"int mine;\n")
    found = handin.read(_archive(tmp_path / "in.tar.gz", deep, (_entry("anna/MANIFEST.json"), b'{"lab": 2}')))
    assert set(found.files) == {"kern/frame.c"} and found.lab == 2 and not found.refused
    (tmp_path / "top/anna/kern").mkdir(parents=True)
    (tmp_path / "top/anna/kern/frame.c").write_text("int mine;\n")
    assert set(handin.read(tmp_path / "top").files) == {"kern/frame.c"}
    (tmp_path / "top/bert/kern").mkdir(parents=True)
    with pytest.raises(HandinError, match="anna, bert"):
        handin.read(tmp_path / "top")
    (tmp_path / "in.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(HandinError, match="a zip archive"):
        handin.read(tmp_path / "in.zip")


def test_an_archive_of_another_lab_is_told(tmp_path: Path) -> None:
    """A later lab's holds the files of an earlier one, perhaps its released solution."""
    files = (_entry("kern/frame.c"), b"int mine;\n"), (_entry("MANIFEST.json"), b'{"lab": 2}')
    archive = _archive(tmp_path / "in.tar.gz", *files)
    line = [str(ROOT / "grade/submission"), str(archive), "--lab", "1", "--no-sandbox"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "handed in for lab 2" in done.stderr, done
    done = subprocess.run([*line, "--exercise", "9.9"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "9.9" in done.stderr, done


def test_a_wrong_path_is_no_zero(tmp_path: Path) -> None:
    """Whoever names the wrong folder, or another lab's archive, must hear of it."""
    tree = tmp_path / "tree"
    (tree / "kern").mkdir(parents=True)
    (tree / "kern/frame.c").write_text("int mine;\n")
    for path, lab in ((tree / "kern", "1"), (tree, "2")):
        line = [str(ROOT / "grade/submission"), str(path), "--lab", lab, "--no-sandbox"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 3 and f"exercise of lab {lab} is in it" in done.stderr, done


def test_staff_files_stay_the_staffs(tmp_path: Path) -> None:
    """What a student may write is laid over the grader's tree; nothing else of theirs is."""
    mine = {"kern/frame.c": b"mine\n", "kern/extra.c": b"added\n", "kern/main.c": b"forged\n"}
    mine |= {"kern/exercise.c": b"forged\n", "kern/space.c": b"of a later lab\n", "kern/kernel.h": b"forged\n"}
    submission = Submission(files=mine)
    whole(tmp_path / "tree", submission, 1)
    laid = {name for name in mine if (tmp_path / "tree" / name).is_file()}
    same = {name for name in laid if (tmp_path / "tree" / name).read_bytes() == mine[name]}
    assert same == {"kern/frame.c", "kern/extra.c"} == set(taken(submission, 1))


def test_a_graft_has_one_file_of_the_submissions(tmp_path: Path) -> None:
    """An exercise is judged on its own among the reference's."""
    files = {e.file: b"mine\n" for e in load(1).exercises}
    graft(tmp_path / "tree", Submission(files=files), 1, "kern/frame.c")
    mine = {name for name in files if (tmp_path / "tree" / name).read_bytes() == b"mine\n"}
    assert mine == {"kern/frame.c"}


# --- where it is built ------------------------------------------------------------


@pytest.fixture
def tree() -> Iterator[Path]:
    """A tree to build in, in a folder as the grader makes them."""
    folder = make_folder()
    (folder / "tree").mkdir()
    yield folder / "tree"
    remove_folder(folder)


def _compile(tree: Path, source: str) -> str:
    (tree / "a.c").write_text(source)
    return sandbox.run(tree, ["gcc", "-c", "-o", "a.o", "a.c"])


REACHING = {
    "the reference, included": f'#include "{ROOT}/kern/frame.c"\n',
    "the reference, assembled": f'asm(".incbin \\"{ROOT}/kern/frame.c\\"");\n',
    "another process's view": f'asm(".incbin \\"/proc/1/root{ROOT}/kern/frame.c\\"");\n',
    "the grader": f'asm(".incbin \\"{ROOT}/grade/graded/bench.py\\"");\n',
    "users": 'asm(".incbin \\"/etc/passwd\\"");\n',
    "root's": 'asm(".incbin \\"/root/.profile\\"");\n',
}


@pytest.mark.parametrize("what", REACHING)
def test_a_build_reaches_nothing_of_the_host(tree: Path, what: str) -> None:
    """A source can have the compiler read any file that is there."""
    with pytest.raises(sandbox.SandboxError, match="No such file|file not found|can't open"):
        _compile(tree, REACHING[what])


def test_a_build_in_the_sandbox_builds(tree: Path) -> None:
    """The witness of what else is refused there."""
    _compile(tree, "int f(void) { return 1; }\n")
    assert (tree / "a.o").stat().st_size > 0


def test_a_build_is_bounded(tree: Path) -> None:
    """A few words of assembly ask for a disk full of zeros."""
    with pytest.raises(sandbox.SandboxError):
        _compile(tree, 'asm(".data\\n.fill 0x40000000, 1, 1");\n')


def test_a_build_has_no_network(tree: Path) -> None:
    """Nothing leaves the machine."""
    seen = sandbox.run(tree, ["cat", "/proc/net/dev"])
    assert [line.split(":")[0].strip() for line in seen.splitlines()[2:]] == ["lo"]


def test_without_a_sandbox_the_grader_stops(tree: Path) -> None:
    """Who grades is told before others' sources are compiled, not after."""
    (tree / "bwrap").write_text("#!/bin/sh\necho no namespaces here >&2\nexit 1\n")
    (tree / "bwrap").chmod(0o755)
    tree.parent.chmod(0o711)
    line = [str(ROOT / "grade/submission"), str(tree), "--lab", "1"]
    path = {**os.environ, "PATH": f"{tree}:{os.environ['PATH']}"}
    done = subprocess.run(line, capture_output=True, text=True, env=path, check=False)
    assert done.returncode == 2
    assert "no namespaces here" in done.stderr and "--no-sandbox" in done.stderr


def test_what_a_graft_lost_is_told_to_the_staff_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the reference's tree could print its neighbours: a student gets points, no words.
    Who grades has to see why, or can't answer the student's question."""
    loader = importlib.machinery.SourceFileLoader("submission", str(ROOT / "grade/submission"))
    spec = importlib.util.spec_from_file_location(loader.name, loader.path, loader=loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    whole, alone = _result(), _result()
    whole.exercises[0].points, whole.tests = 0, []
    alone.tests[1].message, alone.tests[1].console = "a frame was given twice", ["NEIGHBOUR"]
    answers = [whole, alone]
    monkeypatch.setattr(module, "build_and_grade", lambda *_: answers.pop(0))
    arguments = argparse.Namespace(lab=1, exercise="")
    result, gradings = module.grade(Submission({"kern/frame.c": b""}, [], 1), arguments)
    assert result.points == 5 and not answers
    shown = json.dumps(result.to_json())
    assert "given twice" not in shown and "NEIGHBOUR" not in shown and "reference" in shown
    (first, one), (second, two) = gradings.items()
    assert first == "as it is" and one["points"] == 0
    assert second.startswith("kern/frame.c, alone") and two["tests"][1]["console"] == ["NEIGHBOUR"]


def _on_a_bare_machine(folder: Path, groups: set[str]) -> Path:
    """A folder with the commands of Debian's essential packages and of what conf/packages installs
    for these groups, with all that it depends on; and no other."""
    line = ["dpkg-query", "-W", "-f", "${Package}\t${Essential}\t${Pre-Depends}, ${Depends}\n"]
    known = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    needs: dict[str, set[str]] = {}
    wanted = {"make"}
    for package, essential, depends in (row.split("\t") for row in known.splitlines()):
        needs[package] = set(re.findall(r"[a-z0-9][a-z0-9+.-]+(?= *[(,|:]| *$)", depends))
        wanted |= {package} if essential == "yes" else set()
    for row in (ROOT / "conf/packages").read_text().splitlines():
        if row and row[0] != "#" and groups & set(row.split()[1].split(",")):
            wanted.add(row.split()[0])
    found: set[str] = set()
    while wanted:
        found.add(package := wanted.pop())
        wanted |= needs.get(package, set()) - found
    line = ["dpkg-query", "-L", *sorted(found & needs.keys())]
    for file in subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines():
        name = re.fullmatch(r"(?:/usr)?/s?bin/([^/]+)", file)
        if name and not (folder / name[1]).is_symlink():
            (folder / name[1]).symlink_to(file)
    (folder / "awk").symlink_to("/usr/bin/awk")  # an alternative: mawk, which is in every Debian
    return folder


@pytest.mark.long
def test_the_staffs_tools_need_no_command_that_is_not_installed_for_them(tmp_path: Path) -> None:
    """On a bare machine, such as a platform's container, nothing else is there."""
    (tmp_path / "bin").mkdir()
    folder = _on_a_bare_machine(tmp_path / "bin", {"run", "grade", "staff"})
    assert (folder / "gcc").exists() and not (folder / "gdb").exists()
    line = ["/usr/bin/python3", str(ROOT / "labs/kernels.py"), str(tmp_path / "kernels")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    environment["PATH"] = str(folder)
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "kernels").iterdir())) == 11


# --- what is told -------------------------------------------------------------------

EVIL = "<script>alert(1)</script>\x1b[31mred\x1b]0;title\x07\u202etxt.exe\x00]]>&amp;"


def _result() -> GradingResult:
    exercise = ExerciseResult("1.2", "Page frames", "kern/frame.c", [], "s", "h", [], 20)
    exercise.points, exercise.verdict, exercise.tests, exercise.passed = 5, "partly", 3, 1
    tests = [
        TestResult("lab1/a.py::test_a", "test_a", "1.2", 5, 5, "pass", 0.5, "why", "rule"),
        TestResult("lab1/a.py::test_b", "test_b", "1.2", 9, 0, "fail", message=EVIL, console=[EVIL]),
        TestResult("lab1/a.py::test_c", "test_c", "1.2", 6, 0, "infrastructure", message="no QEMU"),
    ]
    result = GradingResult(1, "Boot", "c0ffee", "g", "gcc 12.2.0", "7.2.22", exercises=[exercise])
    result.tests, result.warnings = tests, [EVIL]
    return result


def _harmless(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t" for c in text) and "[31m" not in text and "title" not in text


def test_gradescope_gets_each_test() -> None:
    """The platform adds nothing up by itself: what it shows has to be the grader's."""
    told = json.loads(gradescope_json.export([("ann", _result())]))
    assert told["score"] == 5 == sum(test["score"] for test in told["tests"])
    assert [test["max_score"] for test in told["tests"]] == [5, 9, 6]
    assert [test.get("status") for test in told["tests"]] == ["passed", "failed", None]
    assert all(_harmless(test["output"]) for test in told["tests"]) and _harmless(told["output"])


def test_junit_tells_failures_from_errors() -> None:
    """An error is the grader's: no CI may call it the student's."""
    top = ElementTree.fromstring(junit.export([("ann", _result()), ("bob", _result())]))
    suites = top.findall("testsuite")
    assert len(suites) == 2
    assert (suites[0].get("tests"), suites[0].get("failures"), suites[0].get("errors")) == ("3", "1", "1")
    points = suites[0].findall("testcase/properties/property[@name='points']")
    assert [found.get("value") for found in points] == ["5", "0", "0"]
    assert _harmless("".join(suites[0].itertext()))


def test_a_sheet_has_no_formulas() -> None:
    """A spreadsheet runs what begins like one."""
    text = sheet.export([("=HYPERLINK(1)", _result()), ("bob", _result())])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["student"] for row in rows] == ["'=HYPERLINK(1)", "bob"]
    assert (rows[1]["points"], rows[1]["1.2"], rows[1]["unjudged"]) == ("5", "5", "1")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_page_shows_markup_as_text() -> None:
    """Who looks at a result runs nothing of the submission's."""
    tags = _Tags()
    tags.feed(page.export([(EVIL, _result())]))
    assert "script" not in tags.seen and "<script>alert(1)</script>" in tags.words
    assert _harmless(tags.words)


@pytest.mark.parametrize("export", [gradescope_json.export, junit.export, sheet.export, page.export])
def test_a_tree_that_does_not_build_is_told(
    export: Callable[[list[tuple[str, GradingResult]]], str],
) -> None:
    """No points without a reason."""
    result = _result()
    result.tests, result.built, result.build_output = [], False, f"a.c:1: error: {EVIL}"
    result.exercises[0].points, result.exercises[0].verdict = 0, "doesn't build"
    text = export([("ann", result)])
    assert "a.c:1: error" in text or export is sheet.export and ",no,0" in text


# --- handing in -----------------------------------------------------------------------


def _make(tree: Path) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    line = ["make", "-s", "SETUP=no", "handin"]
    return subprocess.run(line, cwd=tree, env=clean, capture_output=True, text=True, check=False)


def test_handin_refuses_what_was_not_begun(tmp_path: Path) -> None:
    """Better told now than by a grade of 0."""
    write_stage(tmp_path / "tree", 1, [e.number for e in load(1).exercises])
    done = _make(tmp_path / "tree")
    assert done.returncode != 0 and "nothing of lab 1 to hand in" in done.stderr
    assert not (tmp_path / "tree/build/handin-lab1.tar.gz").exists()


def test_handin_refuses_what_does_not_build(tmp_path: Path) -> None:
    """The same, with what the compiler said."""
    write_stage(tmp_path / "tree", 1, ["1.3"])
    (tmp_path / "tree/kern/frame.c").write_text("int f(void) { return missing; }\n")
    done = _make(tmp_path / "tree")
    assert done.returncode != 0 and "doesn't build" in done.stderr and "missing" in done.stderr
    assert not (tmp_path / "tree/build/handin-lab1.tar.gz").exists()


@pytest.mark.long
def test_the_grader_takes_what_was_handed_in(tmp_path: Path) -> None:
    """From make handin to points, and the exercise that another one's stub hides is scored alone."""
    tree = tmp_path / "tree"
    write_stage(tree, 1, ["1.1", "1.2", "1.3", "1.4", "1.5"])
    (tree / "kern/mine.c").write_text("int mine;\n")
    (tree / "GNUmakefile").write_text((tree / "GNUmakefile").read_text() + "\n# changed\n")
    done = _make(tree)
    assert done.returncode == 0, done.stderr
    assert "GNUmakefile" in done.stdout
    archive, out = tree / "build/handin-lab1.tar.gz", tmp_path / "result.json"
    assert "kern/mine.c" in handin.read(archive).files
    line = [str(ROOT / "grade/submission"), str(archive), "--lab", "1", "--out", str(out)]
    graded = subprocess.run(line, capture_output=True, text=True, check=False)
    assert graded.returncode == 0, graded.stderr
    points = {e["number"]: e["points"] for e in json.loads(out.read_text())["exercises"]}
    assert points == {"1.1": 0, "1.2": 0, "1.3": 0, "1.4": 0, "1.5": 0, "1.6": 10}
