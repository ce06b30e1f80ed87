# SPDX-License-Identifier: MIT
"""The trace: what it tells is what happened, and telling it costs little.

Times are exact under -icount, where an instruction is a nanosecond. What is drawn from a trace is
checked against the kernel's counters, which don't come from it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conf.timeline import Mark, Names, Timeline, chrome, page
from conf.tracering import NO_VM, Event, Kernel, Ring
from grade.harness.accounts import wait_rest
from grade.harness.lab import Lab
from grade.harness.machine import Machine

ROOT = Path(__file__).resolve().parents[2]

# Idles until 60 ms and again until 70 ms after power-on, VM 1 two microseconds longer, VM 2 four.
SLEEPER = r"""
static int run(void)
{
	u32 later = VREGS->number * 2000;

	idle(60000000 + later);
	idle(70000000 + later);
	return 7;
}
"""

ECHO_ROUNDS = 40


def _kernel(machine: Machine) -> Kernel:
    return Kernel(Path(machine.run.kernel), ROOT)


def _ring(machine: Machine) -> Ring:
    return Ring(_kernel(machine), machine.memory.read)


def _names(machine: Machine) -> Names:
    kernel = _kernel(machine)
    return Names(kernel.states, kernel.interrupts, kernel.functions, kernel.instructions)


def _events(machine: Machine) -> list[Event]:
    """Everything in the ring, of a machine that stands still meanwhile."""
    with machine.stopped():
        ring = _ring(machine)
        ring.poll()
        return ring.events()


def _of(events: list[Event], vm: int, *kinds: str) -> list[Event]:
    return [event for event in events if event.vm == vm and event.kind in kinds]


def _slept(lab: Lab, options: str = "") -> Machine:
    machine = lab.boot(lab.program(SLEEPER, count=2), options=options, icount=True)
    machine.expect_all("^vm 1: terminated, status 7", "^vm 2: terminated, status 7")
    machine.monitor("vms")  # until that is answered, their memory has been given back
    return machine


@pytest.mark.quick
def test_trace_tells_what_happened_in_order(lab: Lab) -> None:
    """Two VMs that sleep twice: every state, post and delivery is there, in the order in which it
    must come, and at the time that the deadlines demand."""
    machine = _slept(lab)
    events, states = _events(machine), _kernel(machine).states
    assert [event.ns for event in events] == sorted(event.ns for event in events)
    for vm in (1, 2):
        path = [states[event.value & 0xFF] for event in _of(events, vm, "state")]
        sleep = ["idle", "ready", "running"]
        start = ["stopped", "queued", "entering", "ready", "running"]
        assert path == [*start, *sleep, *sleep, "dying", "dead"], path
        olds = [states[event.value >> 8] for event in _of(events, vm, "state")]
        assert olds == ["new", *path[:-1]]
        virqs = _of(events, vm, "post", "deliver")
        assert [event.kind for event in virqs] == ["post", "deliver"] * 2
        assert all(event.value == 1 for event in virqs), "only the timer was posted"
        for event, deadline in zip(_of(events, vm, "post"), (60_000_000, 70_000_000)):
            late = event.ns - deadline - 2000 * vm
            assert 0 <= late < 20_000, f"the timer of VM {vm} came {late} ns late"
        assert [event.value for event in _of(events, vm, "terminated")] == [7]


def test_same_run_gives_same_trace(lab: Lab) -> None:
    """Under -icount a trace is a fact: two runs give the same events at the same nanosecond."""
    runs = []
    for _ in range(2):
        machine = _slept(lab)
        events = _events(machine)
        end = next(i for i, event in enumerate(events) if event.kind == "terminated")
        runs.append([event for event in events[:end] if event.kind in ("state", "post", "deliver")])
        machine.close()
    assert runs[0] == runs[1] and len(runs[0]) > 20


def test_processor_waits_while_all_idle(lab: Lab) -> None:
    """From the last VM's idle to the first deadline nothing runs: the row of the processor has it
    as one wait, apart from what the console still prints."""
    machine = _slept(lab)
    drawn = Timeline(_events(machine), _names(machine))
    spans = [(span, end) for span, end in drawn.ends(drawn.rows[0]) if span.what == "waits"]
    assert max(end - span.begin for span, end in spans) > 5_000_000
    for span, end in drawn.ends(drawn.row(1)):
        if span.what == "running":
            assert not any(span.begin < wait.begin < end for wait, _ in spans)


def test_full_ring_keeps_the_newest(lab: Lab) -> None:
    """A ring of 256 places that was filled several times holds the last 256 events, and a reader
    says how many it missed."""
    machine = lab.boot("bench-null", options="trace=256", icount=True)
    machine.expect("^vm 1: terminated")
    for _ in range(12):
        machine.monitor("counters")
    with machine.stopped():
        ring = _ring(machine)
        ring.poll()
        laps = machine.kernel_word("trace_laps")
    assert laps >= 2
    assert ring.kept == 255, "the oldest place may be half-written"
    assert ring.lost + ring.kept >= laps * 256
    times = [event.ns for event in ring.events()]
    assert times == sorted(times)


def test_trace_can_be_off(lab: Lab) -> None:
    """trace=off takes no memory and says so; nonsense stops the machine at boot."""
    machine = lab.boot("hello", options="trace=off")
    machine.expect_all("^denali> ", "^vm 1: terminated")  # not into the line that is typed
    assert "the trace is off" in machine.monitor("trace")
    assert machine.kernel_word("trace_next") == 0
    for wrong in ("trace=100", "trace=", "trace=1e6", "trace=99999999999"):
        refused = lab.boot("hello", options=wrong)
        assert refused.wait_crash() == 249, wrong


@pytest.mark.quick
def test_monitor_shows_the_last_events(lab: Lab) -> None:
    """trace N shows N events in order, trace N vm K those of VM K; what is no number is refused."""
    machine = _slept(lab)
    lines = machine.monitor("trace 6 vm 1").strip().splitlines()
    assert len(lines) == 6 and all(re.search(r"\bvm 1\b", line) for line in lines)
    text = " ".join(" ".join(line.split()[3:]) for line in lines)
    assert "running" in text and text.endswith("state dying to dead"), text
    assert "terminated 7" in text
    times = [float(line.split()[0]) for line in machine.monitor("trace 40").strip().splitlines()]
    assert len(times) >= 25 and times == sorted(times)
    assert "monitor_slice" in machine.monitor("trace 9 all")
    assert "trace [N] [vm K] [all]" in machine.monitor("trace everything")


def _cost(lab: Lab, options: str) -> tuple[float, float]:
    """Instructions of a null virtual instruction, and of a switch from VM to VM."""
    null = lab.boot(
        lab.guest("bench-null", args="n=20000"), options=f"when-done=exit {options}", icount=True
    )
    null.wait()
    switch = lab.boot(
        lab.guest("bench-switch", count=32, args="n=20 pages=0 vms=32"),
        options=f"when-done=exit {options}",
        icount=True,
    )
    switch.wait()
    said = [json.loads(text) for text in re.findall(r"\{\".*\}", null.serial.text())][-1]
    ends = {
        line["vm"]: line["ns"]
        for line in map(json.loads, re.findall(r"\{\".*\}", switch.serial.text()))
    }
    return said["ns"] / said["n"], (ends[32] - ends[1]) / 31


def test_trace_costs_little(lab: Lab) -> None:
    """Always on is affordable: nothing for a null virtual instruction (but that a quantum may end
    among them: an event in 20,000), at most 45 instructions for a switch with an interrupt
    delivered (three events)."""
    on, off = _cost(lab, ""), _cost(lab, "trace=off")
    assert abs(on[0] - off[0]) < 0.01
    assert 3 <= on[1] - off[1] <= 45, f"{off[1]:.0f} instructions became {on[1]:.0f}"


# --- what is drawn ------------------------------------------------------------------------------


def _echoed(lab: Lab) -> tuple[Machine, list[Event]]:
    """A VM that has answered frames from the wire, and all events of the run."""
    wire = lab.wire()
    machine = lab.boot(lab.guest("echo", count=2), wire=wire)
    machine.expect("^vms 1 to 2")
    for turn in range(ECHO_ROUNDS):
        wire.echo(1 + turn % 2, b"round %d" % turn)
    wait_rest(machine)
    return machine, _events(machine)


def test_events_agree_with_counters(lab: Lab) -> None:
    """Each interrupt posted, merged or delivered, each frame sent, queued or dropped and each frame
    of the wire is one event."""
    machine, events = _echoed(lab)
    drawn = Timeline(events, _names(machine))
    marks = [mark for row in drawn.rows for mark in row.marks]
    seen = {kind: sum(mark.kind == kind for mark in marks) for kind in {m.kind for m in marks}}
    assert seen["post"] == machine.counter("virq_posted") >= ECHO_ROUNDS
    assert sum(mark.merged for mark in marks) == machine.counter("virq_merged")
    assert seen["deliver"] == machine.counter("virq_delivered")
    assert seen["queue"] == machine.counter("net_queued") == seen["receive"]
    assert seen["send"] == machine.counter("net_from_vm")
    assert seen["uplink-in"] == machine.counter("net_rx_frames")
    assert seen["uplink-out"] == machine.counter("net_to_uplink")
    turns = sum(span.what == "running" for row in drawn.rows[1:] for span in row.spans)
    assert turns >= machine.counter("switches") - 1


def check_chrome(document: dict[str, Any]) -> None:
    """The rules of the trace-event format that viewers rely on."""
    assert document["displayTimeUnit"] in ("ms", "ns")
    ends: dict[tuple[int, int], float] = {}
    for event in document["traceEvents"]:
        assert event["ph"] in ("M", "X", "i") and isinstance(event["name"], str)
        assert isinstance(event["pid"], int) and isinstance(event["tid"], int)
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            continue
        assert isinstance(event["ts"], (int, float)) and event["ts"] >= 0
        if event["ph"] == "i":
            assert event["s"] == "t"
            continue
        place = event["pid"], event["tid"]
        assert event["dur"] >= 0
        assert event["ts"] >= ends.get(place, 0) - 0.001, "spans of a thread don't overlap"
        ends[place] = event["ts"] + event["dur"]


def test_json_is_what_viewers_read(lab: Lab) -> None:
    """trace.json keeps the format's rules, names every row, and only one VM runs at a time."""
    machine, events = _echoed(lab)
    drawn = Timeline(events, _names(machine))
    document = json.loads(json.dumps(chrome(drawn, {"lost": 0})))
    check_chrome(document)
    named = [e["args"]["name"] for e in document["traceEvents"] if e["name"] == "thread_name"]
    assert named == ["processor", "vm 1", "vm 2"]
    runs = sorted(
        (e["ts"], e["dur"]) for e in document["traceEvents"] if e["ph"] == "X" and e["tid"] > 0
        and e["name"] == "running"
    )  # fmt: skip
    assert all(a[0] + a[1] <= b[0] + 0.001 for a, b in zip(runs, runs[1:]))


def _made_up(vms: int, count: int) -> Timeline:
    """A busy run that never was: VMs wake by a frame, run and idle, in turn."""
    names = Names(["new", "stopped", "ready", "running", "idle", "dying", "dead"], ["timer", "net"])
    ready, running, idle = 2, 3, 4
    events, ns = [], 1_000_000
    for turn in range(count // 6):
        vm = turn * 7 % vms + 1
        for kind, value in (
            ("queue", 60), ("post", 2), ("state", idle << 8 | ready),
            ("state", ready << 8 | running), ("deliver", 2), ("state", running << 8 | idle),
        ):  # fmt: skip
            ns += 1000 + turn % 5 * 700
            events.append(Event(ns, kind, vm, value))
    events.append(Event(ns, "wait", NO_VM, 0))
    return Timeline(events, names)


@pytest.mark.quick
def test_each_state_looks_different() -> None:
    """Whoever reads a timeline tells a VM that waits from one that is out: all states that last
    have a colour and pattern of their own, and each colour is defined for both themes."""
    listed = re.findall(r'^\tX\(\w+, "(\w+)"\)', (ROOT / "kern/vm.h").read_text(), re.M)
    assert len(listed) == 12
    text = (ROOT / "conf/timeline.html").read_text()
    styles = dict(re.findall(r'(\w+): (\["--\w+", "\w+"\])', text))
    drawn = [styles[state] for state in listed if state not in ("new", "dead")]
    assert len(set(drawn)) == len(drawn), drawn
    for name in {style.split('"')[1] for style in drawn}:
        assert text.count(f"{name}: #") == 2 and f'"{name[2:]}"' in text, name


@pytest.mark.quick
def test_what_a_page_got_is_told() -> None:
    """A page that came in is not a page that went: four words for four values."""
    drawn = Timeline([], Names([], []))
    told = [drawn.describe(Mark(0, "page", 0x5000 | value)) for value in range(4)]
    assert told == ["page 0x5000", "page 0x5000 (copy)", "page 0x5000 (in)", "page 0x5000 (out)"]


@pytest.mark.host
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_page_draws_rows_in_a_browser(lab: Lab) -> None:
    """timeline.html opens in a browser without an error, fetches nothing, and draws a screenful of
    a thousand VMs and a hundred thousand events."""
    folder = lab.folder()
    text = page(_made_up(1000, 100_000), {"lost": 0, "title": "</script> is only text"})
    assert not re.search(r"(src|href)=|url\(|https?://(?!www\.w3\.org)", text.partition("@DATA@")[0])
    (folder / "timeline.html").write_text(text)
    line = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,700"]
    line += [f"--user-data-dir={folder}/profile", "--virtual-time-budget=4000"]
    line += ["--enable-logging=stderr", "--dump-dom", f"file://{folder}/timeline.html#vm=500"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    errors = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert not errors, errors
    body = re.search(r"<body[^>]*>", done.stdout)
    assert body, done.stderr[-2000:]
    drawn = dict(re.findall(r'data-(\w+)="(\d+)"', body[0]))
    assert int(drawn["total"]) == 1001 and int(drawn["rows"]) > 15
    assert "1000 VMs" in done.stdout


@pytest.mark.host
@pytest.mark.long
def test_make_trace_records_a_run(lab: Lab) -> None:
    """conf/trace boots what make qemu boots, has its servers asked, loses nothing, and writes both
    files."""
    folder = lab.folder()
    line = [sys.executable, str(ROOT / "conf/trace"), "--build", str(lab.build), "--seconds", "2"]
    line += ["--out", str(folder)]
    web = {**os.environ, "VMS": "16"}
    done = subprocess.run(line, env=web, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) events of (\d+) VMs in .*; none lost\. (\d+) pages", done.stdout)
    assert found and int(found[2]) >= 16 and int(found[3]) > 0, done.stdout
    document = json.loads((folder / "trace.json").read_text())
    check_chrome(document)
    assert "deliver net" in {event["name"] for event in document["traceEvents"]}
    assert (folder / "timeline.html").stat().st_size > 10_000


def test_attach_without_a_run_says_so(lab: Lab) -> None:
    """conf/trace --from-run with no such run fails with a sentence."""
    line = [sys.executable, str(ROOT / "conf/trace"), "--from-run", str(lab.folder())]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "no make qemu" in done.stderr
