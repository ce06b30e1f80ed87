# SPDX-License-Identifier: MIT
"""`make view`: what it draws is what is there, in a real browser, and no machine suffers from it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conf import layout, view
from conf.inside import PAGE, Absent, Inside
from conf.picture import picture
from conf.rundir import RunError
from conf.tracering import KERNEL_BASE, Kernel
from grade.harness.lab import Lab
from grade.harness.machine import Machine
from grade.harness.process import end, start
from grade.harness.qmp import Qmp

ROOT = Path(__file__).resolve().parent.parent.parent
EVIL = '<img src=x onerror="document.title=1">'


def inside(machine: Machine) -> Inside:
    """A reader of a machine of the harness."""
    path = (machine.cwd or Path()) / machine.run.kernel
    return Inside(machine.memory.read, Kernel(path, ROOT), layout.of_kernel(path))


def drawn(machine: Machine, first: int | None = None) -> dict[str, Any]:
    """Its picture."""
    return picture(inside(machine), machine.run.memory << 20, first)


def frames(memory: dict[str, Any]) -> dict[str, int]:
    """The legend's numbers by name."""
    return {kind["name"]: kind["frames"] for kind in memory["kinds"]}


def test_memory_is_drawn_as_it_is(lab: Lab) -> None:
    """Every frame has one letter, and the numbers are the kernel's."""
    machine = lab.boot(lab.guest("spin", count=3), lab.guest("hello"))
    machine.expect("vm 4: terminated")
    machine.monitor("mem")
    with machine.stopped():
        memory = drawn(machine)["memory"]
        known = frames(memory)
        at = machine.kernel.address("frame_count") - KERNEL_BASE
        assert [machine.memory.word(at + 4 * i) for i in range(4)] == [
            known[name] for name in ("free", "guest pages", "virtual registers", "page directories")
        ]
        end_of_kernel = machine.kernel.address("kernel_end") - KERNEL_BASE
        assert known["kernel"] == -(-end_of_kernel // PAGE) - 256 and known["firmware"] == 256
        images = [Path(module.image) for module in machine.run.modules]
        assert known["boot modules"] == sum(-(-image.stat().st_size // PAGE) for image in images)
        assert sum(known.values()) == memory["frames"] == machine.run.memory * 256
        assert len(memory["cells"]) == 1024 and memory["cells"].startswith("FFFFK")
        near = drawn(machine, 256)["memory"]
        assert near["frames_per_cell"] == 1
        assert re.match(f"K{{{known['kernel']}}}[B.]?M+B", near["cells"]), near["cells"]
        assert memory["ranges"][:2] == [[0, 256, "F"], [256, 256 + known["kernel"], "K"]]


def test_vms_are_drawn_as_they_are(lab: Lab) -> None:
    """State, program and activity of each."""
    machine = lab.boot("spin", "hello")
    machine.expect("vm 2: terminated")
    machine.monitor("vms")
    before = drawn(machine)["vms"]
    time.sleep(0.3)
    after = drawn(machine)["vms"]
    assert [vm["program"] for vm in after["shown"]] == ["spin", "hello"] and after["all"] == 2
    assert after["shown"][0]["state"] in ("running", "ready")
    assert after["shown"][0]["run_ns"] > before["shown"][0]["run_ns"]
    assert after["shown"][1]["state"] == "dead" and "terminated" in after["shown"][1]["ending"]
    assert sum(after["states"].values()) == 2


def test_an_allocator_of_ones_own_is_drawn_too(lab: Lab) -> None:
    """A student's frame.c may keep other records: nothing is made up then."""
    machine = lab.boot("spin")
    machine.expect("denali>")
    with machine.stopped():
        free = frames(drawn(machine)["memory"])["free"]
        at = machine.memory.word(machine.kernel.address("frame_table") - KERNEL_BASE) - KERNEL_BASE
        machine.memory.write(at, os.urandom(PAGE * 4))
        known = frames(drawn(machine)["memory"])
    assert "free" not in known and "guest pages" not in known and known["frames"] > free


def test_a_broken_kernel_is_drawn_without_an_error(lab: Lab) -> None:
    """Pointers and counts may be anything: a picture, or a sentence."""
    machine = lab.boot("spin")
    machine.expect("denali>")
    reader = inside(machine)
    with machine.stopped():
        for name in ("vm_count", "frame_limit", "boot_info", "vm_table", "frame_table", "current"):
            place = machine.kernel.address(name) - KERNEL_BASE
            kept = machine.memory.read(place, 4)
            for word in (b"\xff" * 4, b"\0" * 4, b"\0\0\0\x4f"):
                machine.memory.write(place, word)
                with contextlib.suppress(Absent, ValueError):
                    json.dumps(picture(reader, machine.run.memory << 20))
            machine.memory.write(place, kept)
    assert drawn(machine)["vms"]["all"] == 1


@pytest.mark.host
def test_lab_1_has_memory_and_no_vms(lab: Lab) -> None:
    """The first lab's kernel: the map is there before any VM."""
    folder = lab.folder() / "build"
    line = ["make", "-s", "SETUP=no", "LAB=1", f"O={folder}", "kernel"]
    subprocess.run(line, check=True, capture_output=True, timeout=300)
    machine = lab.boot(kernel=folder / "kern/denali")
    machine.expect("denali>")
    state = drawn(machine)
    assert state["vms"] is None and frames(state["memory"])["kernel"] > 10


# --- the server, and the page in a browser ---


@contextlib.contextmanager
def running(lab: Lab, **environ: str) -> Iterator[Path]:
    """A `make qemu`; gives its run's folder."""
    out = lab.folder() / "out"
    line = ["/usr/bin/python3", "conf/run", "--build", str(lab.build), "qemu"]
    with open(out, "wb") as file:
        process = start(line, stdout=file, stderr=file, environment={**os.environ, **environ})
    try:
        deadline = time.monotonic() + 30
        while not (found := re.search(r"QMP: (\S+)/qmp", out.read_text())):
            assert process.poll() is None and time.monotonic() < deadline, out.read_text()
            time.sleep(0.05)
        yield Path(found[1])
    finally:
        process.terminate()
        process.wait(20)
        end(process)


@contextlib.contextmanager
def served(source: view.Source) -> Iterator[int]:
    """The server, on a port."""
    server = view.serve(None, source)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def get(port: int, path: str, host: str = "localhost") -> tuple[int, str, http.client.HTTPMessage]:
    """Ask the server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def state(port: int, status: str = "running") -> dict[str, Any]:
    """The state when it is `status`."""
    deadline = time.monotonic() + 20
    while True:
        found: dict[str, Any] = json.loads(get(port, "/state")[1])
        if found["status"] == status:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def browse(lab: Lab, port: int, size: str = "1280,1000") -> str:
    """The page's DOM after some pictures, without an error on its console."""
    line = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={size}"]
    line += [f"--user-data-dir={lab.folder()}/profile", "--virtual-time-budget=5000"]
    line += ["--enable-logging=stderr", "--dump-dom", f"http://localhost:{port}/"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    errors = [text for text in done.stderr.splitlines() if ":CONSOLE" in text]
    assert not errors, errors
    return done.stdout


@pytest.mark.host
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_page_shows_a_running_machine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a real browser, wide and narrow: cells, legend, tiles; all of it in words too."""
    monkeypatch.setattr(view, "FRESH", 0.0)  # the browser's time runs fast here
    with running(lab, VMS="5", GUEST="spin") as run:
        with served(view.Source(lab.build / "kern/denali", run)) as port:
            state(port)
            for size in ("1280,1000", "390,800"):
                page = browse(lab, port, size)
                assert int(re.findall(r'data-drawn="(\d+)"', page)[0]) >= 2, page[-3000:]
                assert 'data-wide="false"' in page, "the page is wider than its window"
                assert len(re.findall(r'<li class="s-(?:ready|running)">', page)) == 5
                assert "5 VMs: " in page and re.search(r"<span>3 +spin</span>", page)
                assert re.search(r"processor: \d+ %", page) and "page directories" in page
                assert "The machine runs." in page and page.count('class="kK"') >= 1


@pytest.mark.host
def test_the_machine_may_end_and_is_not_held(lab: Lab) -> None:
    """Others reach QMP between two pictures; the end of the machine isn't the end of the view."""
    with running(lab, VMS="2", GUEST="spin") as run:
        source = view.Source(lab.build / "kern/denali", run)
        with served(source) as port:
            first = state(port)
            with contextlib.closing(Qmp(run / "qmp", 5)) as qmp:
                assert qmp.command("query-status")["running"]
                assert json.loads(get(port, "/state?first=7")[1])["status"] == "busy"
                qmp.command("quit")
            last = state(port, "ended")
            assert last["memory"]["frames"] == first["memory"]["frames"] == 65536
            assert [vm["program"] for vm in last["vms"]["shown"]] == ["spin", "spin"]


@pytest.mark.host
def test_make_view_needs_nothing_else(lab: Lab) -> None:
    """The command alone: a machine is started if none runs, and the page is where it says."""
    out = lab.folder() / "out"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    line = ["/usr/bin/python3", "conf/view.py", "--build", str(lab.build), "--port", str(port)]
    environ = {**os.environ, "VMS": "2", "GUEST": "spin", "PORT": str(port)}
    with open(out, "wb") as file:
        process = start(line, stdout=file, stderr=file, environment=environ)
    try:
        deadline = time.monotonic() + 40
        while "localhost" not in out.read_text():
            assert process.poll() is None and time.monotonic() < deadline, out.read_text()
            time.sleep(0.05)
        assert f"http://localhost:{port}/" in out.read_text()
        assert get(port, "/")[0] == 200 and "status" in json.loads(get(port, "/state")[1])
        process.terminate()
        assert process.wait(20) == 128 + 15
    finally:
        end(process)


@pytest.mark.host
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_hostile_text_stays_text(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest's name, state or last words are never markup: it would own the student's browser."""
    kind = {"letter": "?", "name": EVIL, "about": EVIL, "frames": 1}
    memory = {"cells": "?<", "frames_per_cell": 1, "first": 0, "frames": 2, "kinds": [kind]}
    vm: dict[str, Any] = dict.fromkeys(("number", "pages", "memory", "run_ns", "quanta"), 1)
    vm |= {name: EVIL for name in ("state", "program", "pending", "ending")}
    vms = {"all": 1, "states": {EVIL: 1}, "shown": [vm]}
    made: dict[str, Any] = {"memory": {**memory, "ranges": [[0, 1, "?"]]}, "vms": vms, "seconds": 1.0, "ram": 8192}
    source = view.Source(lab.build / "kern/denali")
    answer = {"status": "running", "message": EVIL, **made}
    monkeypatch.setattr(source, "state", lambda first: answer)
    with served(source) as port:
        page = browse(lab, port)
    assert "<img" not in page and page.count("&lt;img src=x onerror=") >= 5
    assert "<title>Denali, from outside</title>" in page and 'data-drawn="' in page


@pytest.mark.host
def test_the_server_is_for_this_host_alone(lab: Lab) -> None:
    """Neither other hosts, nor other sites in this host's browser, nor scripts of somebody else."""
    source = view.Source(lab.build / "kern/denali", lab.folder())
    with served(source) as port, served(source) as other:
        assert port != other, "a port that is taken is left alone"
        with pytest.raises(RunError):
            view.serve(port, source)
        assert get(port, "/state", host="evil.example")[0] == 403
        assert get(port, "/etc/passwd")[0] == 404
        status, page, headers = get(port, "/")
        policy = headers["Content-Security-Policy"]
        assert status == 200 and "default-src 'none'" in policy and "unsafe" not in policy
        assert not re.search(r"https?://", page) and "innerHTML" not in page
        assert json.loads(get(port, "/state?first=x")[1])["status"] == "waiting"
        with socket.socket() as probe, contextlib.suppress(OSError):
            outside = socket.gethostbyname(socket.gethostname())
            if not outside.startswith("127."):
                assert probe.connect_ex((outside, port)) != 0
