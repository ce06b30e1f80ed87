# SPDX-License-Identifier: MIT
"""One run of `make scale`, phase by phase: start, rest, sweep, load. The result is a dictionary
that json can write; grade/bench/scale_report.py draws it."""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.qemu import QEMU
from grade.bench.memory import SETTLED
from grade.bench.runner import Failure
from grade.bench.scale_run import Plan, machine, swap_disks
from grade.bench.scale_watch import Kernel, Sample, Watch, thinned
from grade.harness.keeper import make_folder, remove_folder
from grade.harness.machine import Machine
from grade.harness.process import cpu_seconds

ROOT = Path(__file__).resolve().parents[2]
MONITOR = "\x1d"  # Ctrl-]: from the supervisor's console to the monitor's and back
MADE = re.compile(r"^VMs? (\d+)(?: to \d+)?: httpd(?:, (\d+) of \d+)?", re.MULTILINE)
START_LIMIT = (60.0, 0.02)  # seconds, and seconds for each VM
SWEEP_LIMIT = (60.0, 0.05)
LOAD_LIMIT = (120.0, 0.01)  # and for each request
REST = 4  # samples without a VM that wants to run


class Progress:
    """What is going on, on stderr: one line that changes, or a line now and then in a log."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0

    def show(self, text: str, final: bool = False) -> None:
        """Say it, unless something was said just now."""
        now = time.monotonic()
        if not final and now - self._last < (0.2 if self._terminal else 5.0):
            return
        self._last = now
        end = "\n" if final or not self._terminal else ""
        print(f"\r\x1b[K{text}" if self._terminal else text, end=end, file=sys.stderr, flush=True)


@dataclass
class Run:
    """A machine that is being measured."""

    plan: Plan
    machine: Machine
    watch: Watch
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)

    def clock(self) -> float:
        """Seconds since QEMU was started."""
        return time.monotonic() - self.watch.begin

    def phase(self, name: str, since: float) -> None:
        """A phase has ended."""
        self.phases.append((name, round(since, 3), round(self.clock(), 3)))

    # --- start ------------------------------------------------------------------------------

    def start(self) -> int:
        """Wait until the supervisor has made all VMs; how many it says it made."""
        limit = START_LIMIT[0] + START_LIMIT[1] * self.plan.vms
        while not (made := MADE.search(self.machine.serial.text())):
            self._pause("start", limit)
        self.phase("start", 0.0)
        return int(made[2] or 1)

    def rest(self) -> None:
        """Wait until every VM has come as far as it goes by itself: all are idle, or out."""
        since, calm = self.clock(), 0
        limit = since + START_LIMIT[0] + START_LIMIT[1] * self.plan.vms
        while calm < REST:
            sample = self._pause("rest", limit)
            calm = calm + 1 if sample.living() - sample.resting() <= 0 else 0
        self.progress.show(self._states(self.watch.now()), final=True)
        self.phase("rest", since)

    def _pause(self, what: str, limit: float) -> Sample:
        """Wait a little, and say how far it is; Failure after `limit` seconds of the run."""
        self.machine.check()
        sample = self.watch.now()
        self.progress.show(self._states(sample))
        if self.clock() > limit:
            raise Failure(self.machine.serial.report(f"{what}: not there after {limit:.0f} s"))
        time.sleep(0.1)
        return sample

    def _states(self, sample: Sample) -> str:
        states = ", ".join(f"{n:,} {s}" for s, n in sample.states.items() if n and s != "new")
        return f"{sample.at:6.1f} s  {sample.living() - 1:,} of {self.plan.vms:,} VMs live: {states}"

    # --- requests ---------------------------------------------------------------------------

    def sweep(self) -> dict[str, Any]:
        """Ask VMs for their own number, each once."""
        asked = self.plan.sample or self.plan.vms
        words = [f"sample={self.plan.sample}"] if self.plan.sample else []
        limit = SWEEP_LIMIT[0] + SWEEP_LIMIT[1] * asked
        return self._zipf("sweep", words, limit)

    def load(self) -> dict[str, Any]:
        """Load all VMs, the popular ones more."""
        words = [f"s={self.plan.zipf}"]
        if self.plan.requests:
            words.append(f"requests={self.plan.requests}")
        else:
            words.append(f"seconds={self.plan.seconds}")
        limit = LOAD_LIMIT[0] + self.plan.seconds + LOAD_LIMIT[1] * self.plan.requests
        return self._zipf("load", words, limit)

    def _zipf(self, mode: str, words: list[str], limit: float) -> dict[str, Any]:
        """Run the load generator; after `limit` seconds it is asked to stop, and tells how far it
        came. The result has "begin", on the run's clock, and QEMU's CPU time too: on a host that is
        busy with other things, requests per second of it say more than those per second."""
        plan, since = self.plan, self.clock()
        line = [str(plan.build / "bench/zipf"), mode, f"n={plan.vms}", f"seed={plan.seed}"]
        line += [f"connections={plan.connections}", f"timeout={plan.timeout}", "interval=0.5"]
        cpu = cpu_seconds(self.machine.pid)
        with tempfile.TemporaryFile() as out:
            tool = subprocess.Popen([*line, *words], stdout=out, stderr=subprocess.PIPE)
            try:
                self._follow(tool, since, limit, mode)
            finally:
                tool.kill()
                tool.wait()
            out.seek(0)
            text = out.read().decode()
        if not text:
            raise Failure(f"{mode}: the load generator failed, status {tool.returncode}")
        self.phase(mode, since)
        result: dict[str, Any] = json.loads(text)
        used = cpu_seconds(self.machine.pid) - cpu
        return {"begin": since, "qemu_cpu_s": round(used, 2), **result}

    def _follow(self, tool: subprocess.Popen[bytes], since: float, limit: float, mode: str) -> None:
        """Show the tool's progress to its end."""
        assert tool.stderr
        os.set_blocking(tool.stderr.fileno(), False)
        asked_to_end = False
        while tool.poll() is None:
            self.machine.check()
            if said := tool.stderr.read():
                last = said.decode().strip().splitlines()[-1]
                self.progress.show(f"{self.clock():6.1f} s  {mode}: {last}")
            if self.clock() - since > limit and not asked_to_end:
                tool.send_signal(signal.SIGTERM)
                asked_to_end = True
            time.sleep(0.05)
        if tool.returncode not in (0, 1):
            errors = (tool.stderr.read() or b"").decode().strip()
            raise Failure(f"{mode}: the load generator failed: {errors or tool.returncode}")

    # --- memory -----------------------------------------------------------------------------

    def memory(self) -> dict[str, int]:
        """What the monitor's `mem` says now."""
        self.machine.serial.send(MONITOR)
        text = self.machine.monitor("mem")
        self.machine.serial.send(MONITOR)
        return memory_lines(text)


def memory_lines(text: str) -> dict[str, int]:
    """Bytes by owner from what `mem` prints (kern/mem.h); a line that is no such line is left out."""
    found = re.findall(r"^ {2}(\S.*?) +(?:\d+ frames +)?(\d+) (KB|bytes)$", text, re.MULTILINE)
    return {name: int(amount) * (1024 if unit == "KB" else 1) for name, amount, unit in found}


def circumstances() -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True)
    line = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    revision = subprocess.run(line, capture_output=True, text=True)
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "revision": revision.stdout.strip(),
        "qemu": version.stdout.partition("\n")[0],
        "host": platform.platform(),
        "cpus": os.cpu_count(),
        "load": [round(n, 2) for n in os.getloadavg()],
    }


@contextmanager
def measured(plan: Plan) -> Iterator[dict[str, Any]]:
    """The result of a run of the plan on the tap of this namespace. The swap disks go at the end:
    it takes the host a minute to remove some of the files."""
    folder = make_folder()
    where = circumstances()
    try:
        with swap_disks(plan) as swap:
            begin = time.monotonic()
            with Machine(machine(plan, folder, swap), plan.build / "scale/console") as running:
                with Watch(Kernel(running), begin) as watch:
                    result = phases(Run(plan, running, watch))
            yield {**result, "circumstances": where}
    finally:
        remove_folder(folder)


def phases(run: Run) -> dict[str, Any]:
    """All phases, and what comes out."""
    made = run.start()
    run.rest()
    started, new = run.watch.now(), run.memory()
    sweep = run.sweep()
    time.sleep(SETTLED)  # connections in TIME_WAIT take memory
    idle, memory = run.watch.now(), run.memory()
    load = run.load()
    after = run.watch.now()
    return {
        "vms": run.plan.vms,
        "answered": sweep["answered"],
        "requests_per_s": load["requests_per_s"],
        "p50_ms": load["p50_ms"],
        "p99_ms": load["p99_ms"],
        "errors": load["errors"],
        "kernel_bytes_per_out_vm": memory["kernel_bytes_per_out_vm"],
        "bytes_per_idle_vm": memory["bytes_per_idle_vm"],
        "seconds": round(run.clock(), 1),
        "requests_per_cpu_s": round(load["answered"] / max(load["qemu_cpu_s"], 0.01), 1),
        "asked": sweep["requests"],
        "made": made,
        "made_s": run.phases[0][2],  # the supervisor has called for all of them
        "started_s": run.phases[1][2],  # each has run until it waits for requests
        "bytes_per_new_vm": new["bytes_per_idle_vm"],
        "states": {"start": started.json(), "idle": idle.json(), "end": after.json()},
        "counters": {name: after.counters[name] - idle.counters[name] for name in after.counters},
        "memory": memory,
        "phases": run.phases,
        "sweep": sweep,
        "load": load,
        "samples": [
            {**sample.json(), "swap": swap_counters(sample)}
            for sample in thinned(run.watch.samples)
        ],
    }


def swap_counters(sample: Sample) -> dict[str, int]:
    """The counters of the traffic with the swap disks."""
    return {name: n for name, n in sample.counters.items() if name.startswith("swap_")}
