# SPDX-License-Identifier: MIT
"""Recording a graded test's machines, so that `make replay` can run them again to the instruction.

Off while scoring. With $DENALI_RECORD naming a folder, each machine of a Bench is started under
QEMU's record mode, and its folder there holds all that a replay needs:

    1/files/        kernel and modules, where the machine finds them
    1/log           what came from outside (rr), 1/snapshot  the state at the start (qcow2)
    1/machine.json  the description of the machine, and how many instructions it had executed
                    when the test was over with it (null: it had ended before)

A test may start many machines; those that were started last stay.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from conf.qemu import Module, Run
from grade.harness.machine import ICOUNT, Machine
from grade.harness.verdict import Infrastructure, TimedOut

RECORD = "DENALI_RECORD"  # of the environment
_KEPT = 4  # machines
_CLUSTER_BITS = 16


def place() -> Path | None:
    """Where machines are to be recorded, or None: they aren't."""
    name = os.environ.get(RECORD, "")
    return Path(name) if name else None


def mode(folder: Path, what: str) -> tuple[str, ...]:
    """QEMU's arguments to `record` into `folder`, or to `replay`: otherwise the machine is timed as
    it is when it is graded."""
    log = f"rr={what},rrfile={folder / 'log'},rrsnapshot=init"
    return (
        "-icount", f"{ICOUNT[1]},{log}",
        "-drive", f"file={folder / 'snapshot'},format=qcow2,if=none,id=rr",
    )  # fmt: skip


class Recording:
    """One machine that is recorded."""

    def __init__(self, top: Path, number: int, run: Run, here: Path) -> None:
        self.folder = top / str(number)
        for old in (number, number - _KEPT):  # of an attempt before, or long over
            shutil.rmtree(top / str(old), ignore_errors=True)
        shutil.copytree(here, self.folder / "files", symlinks=False)
        self._plain = _without(run, ICOUNT)
        self._devices = bool(run.netdev or run.disk or run.swap)
        make_qcow2(self.folder / "snapshot", 64 << 20)

    def run(self) -> Run:
        """The machine to start instead. One with a network or a disk isn't recorded: QEMU would
        have to record their traffic too. It can be run again, but not to the instruction."""
        told = ICOUNT if self._devices else mode(self.folder, "record")
        return dataclasses.replace(self._plain, extra=(*told, *self._plain.extra))

    def note(self, machine: Machine) -> None:
        """The test is over: write down where the machine is, if its recording is one that stays."""
        if not self.folder.exists():
            return
        moment = None
        with suppress(Infrastructure, TimedOut, OSError):
            if machine.running() and not self._devices:
                machine.qmp.command("stop")
                moment = machine.qmp.command("query-replay")["icount"]
                machine.qmp.command("quit")  # its log is whole then
                machine.wait_crash()
        about = {"icount": moment, "devices": self._devices, "run": dataclasses.asdict(self._plain)}
        (self.folder / "machine.json").write_text(json.dumps(about, default=str, indent=1))


def make_qcow2(path: Path, size: int) -> None:
    """An empty disk image in which QEMU can keep snapshots: header, reference counts, first table.
    (qemu-img is a package of its own.)"""
    cluster = 1 << _CLUSTER_BITS
    tables = -(-size // (cluster // 8 * cluster))
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, _CLUSTER_BITS, size, 0,
        tables, 3 * cluster, cluster, 1, 0, 0,
    )  # fmt: skip
    parts = (header, struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1), b"")
    path.write_bytes(b"".join(part.ljust(cluster, b"\0") for part in parts))


def read(folder: Path) -> tuple[Run, int | None, bool]:
    """A recorded machine: its description, the moment, whether it had devices."""
    about = json.loads((folder / "machine.json").read_text())
    return _run(about["run"]), about["icount"], about["devices"]


def _run(fields: dict[str, Any]) -> Run:
    """The description as it was; sockets and such are given anew."""
    modules = tuple(
        Module(**{key: tuple(v) if isinstance(v, list) else v for key, v in module.items()})
        for module in fields.pop("modules")
    )
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return dataclasses.replace(Run(**plain), modules=modules, qmp=None, gdb=None)


def _without(run: Run, words: tuple[str, ...]) -> Run:
    """`run` without these of its extra arguments."""
    extra = list(run.extra)
    for at in range(len(extra) - len(words), -1, -1):
        if tuple(extra[at : at + len(words)]) == words:
            del extra[at : at + len(words)]
    return dataclasses.replace(run, extra=tuple(extra))
