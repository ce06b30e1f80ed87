# SPDX-License-Identifier: MIT
"""From a trace's events to a timeline: what every VM and the processor did, and when.

A row is a sequence of spans without gaps (each lasts until the next begins) and a list of marks.
Row 0 is the processor: which VM it runs, the kernel's work, waiting. Two ways out: Chrome's
trace-event JSON, which chrome://tracing and Perfetto open, and one HTML page that needs nothing
else. This module reads no machine and keeps no clock: the same events give the same files.
"""

from __future__ import annotations

import base64
import json
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.tracering import NO_VM, Event

TEMPLATE = Path(__file__).with_name("timeline.html")
PROCESSOR = NO_VM  # the number of the processor's row

# What the processor does: names of spans in its row.
RUNS, WORKS, WAITS, KERNEL = "runs", "work", "waits", "kernel"

_PAGES = ("", " (copy)", " (in)", " (out)")  # TRACE_PAGE_*

_SPAN_KINDS = frozenset(("state", "wait", "wake", "work-begin", "work-end"))


@dataclass(frozen=True)
class Span:
    """A row does `what` from `begin` on; `value` is a VM's number (runs) or an address (work)."""

    begin: int
    what: str
    value: int = 0


@dataclass(frozen=True)
class Mark:
    """Something that happened at one moment; `merged`: a post that found its bits pending."""

    ns: int
    kind: str
    value: int
    merged: bool = False


@dataclass
class Row:
    """What one VM, or the processor, did."""

    number: int
    spans: list[Span] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    pending: int = 0  # virtual interrupts, while events are taken over

    def spend(self, begin: int, what: str, value: int = 0) -> None:
        """From now on it does `what`."""
        self.spans.append(Span(begin, what, value))


@dataclass
class Names:
    """Names for numbers, as conf.tracering.Kernel has them."""

    states: list[str]
    interrupts: list[str]
    functions: dict[int, str] = field(default_factory=dict)
    instructions: dict[int, str] = field(default_factory=dict)


class Timeline:
    """The rows of a list of events, from `begin` to `end` (ns)."""

    def __init__(self, events: list[Event], names: Names) -> None:
        self.names = names
        self.begin = events[0].ns if events else 0
        self.end = events[-1].ns if events else 0
        self.count = len(events)
        self._rows: dict[int, Row] = {PROCESSOR: Row(PROCESSOR)}
        self._running: int | None = None
        self._work: int | None = None
        self._waits = False
        for event in events:
            self._take(event)

    @property
    def rows(self) -> list[Row]:
        """The processor's row, then VMs in order of their numbers."""
        first = self._rows[PROCESSOR]
        return [first, *(self._rows[n] for n in sorted(self._rows) if n != PROCESSOR)]

    def row(self, number: int) -> Row:
        """The row of a VM, made if it is new."""
        return self._rows.setdefault(number, Row(number))

    def ends(self, row: Row) -> Iterator[tuple[Span, int]]:
        """The row's spans, each with its end."""
        begins = [span.begin for span in row.spans[1:]]
        yield from zip(row.spans, [*begins, self.end])

    def describe(self, mark: Mark) -> str:
        """A mark in words."""
        if mark.kind in ("post", "deliver"):
            names = self.names.interrupts
            bits = [name for bit, name in enumerate(names) if mark.value >> bit & 1]
            return f"{mark.kind} {' '.join(bits)}" + (" (merged)" if mark.merged else "")
        if mark.kind == "page":
            return f"page {mark.value & ~0xFFF:#x}" + _PAGES[mark.value & 3]
        if mark.kind == "disk-start":
            return f"disk-start {'write' if mark.value & 1 else 'read'} block {mark.value >> 1}"
        if mark.kind in ("disk-end", "terminated"):
            return f"{mark.kind} {struct.unpack('<i', struct.pack('<I', mark.value))[0]}"
        if mark.kind == "supervisor":
            return f"supervisor {self.names.instructions.get(mark.value, str(mark.value))}"
        if mark.kind == "killed":
            return mark.kind
        return f"{mark.kind} {mark.value} bytes"

    def _state(self, number: int) -> str:
        names = self.names.states
        return names[number] if number < len(names) else f"state {number}"

    def _take(self, event: Event) -> None:
        if event.kind not in _SPAN_KINDS:
            self._mark(event)
            return
        if event.kind == "state":
            self._change(event)
        elif event.kind == "work-begin":
            self._work = event.value
        elif event.kind == "work-end":
            self._work = None
        else:
            self._waits = event.kind == "wait"
        self._processor(event.ns)

    def _change(self, event: Event) -> None:
        row = self.row(event.vm)
        if not row.spans:
            row.spend(self.begin, self._state(event.value >> 8))
        state = self._state(event.value & 0xFF)
        row.spend(event.ns, state)
        if state == "running":
            self._running = event.vm
        elif self._running == event.vm:
            self._running = None

    def _processor(self, now: int) -> None:
        row = self._rows[PROCESSOR]
        if self._work is not None:
            what, value = WORKS, self._work
        elif self._waits:
            what, value = WAITS, 0
        elif self._running is not None:
            what, value = RUNS, self._running
        else:
            what, value = KERNEL, 0
        if not row.spans or (row.spans[-1].what, row.spans[-1].value) != (what, value):
            row.spend(now, what, value)

    def _mark(self, event: Event) -> None:
        row = self._rows[PROCESSOR] if event.vm == NO_VM else self.row(event.vm)
        merged = False
        if event.kind == "post":  # the value is the whole mask after the post
            merged = event.value == row.pending
            row.pending = event.value
        elif event.kind == "deliver":
            row.pending = 0
        row.marks.append(Mark(event.ns, event.kind, event.value, merged))


# --- Chrome's trace-event format ----------------------------------------------------------------


def chrome(timeline: Timeline, about: dict[str, Any]) -> dict[str, Any]:
    """The timeline as a trace-event document: times in microseconds, one thread per row."""
    events: list[dict[str, Any]] = [_meta("process_name", 0, name="denali")]
    for order, row in enumerate(timeline.rows):
        thread = 0 if row.number == PROCESSOR else row.number + 1
        events.append(_meta("thread_name", thread, name=title(row)))
        events.append(_meta("thread_sort_index", thread, sort_index=order))
        for span, end in timeline.ends(row):
            events.append(
                {"ph": "X", "cat": "state", "name": span_name(timeline, span), "pid": 0}
                | {"tid": thread, "ts": span.begin / 1e3, "dur": (end - span.begin) / 1e3}
            )
        for mark in row.marks:
            events.append(
                {"ph": "i", "s": "t", "cat": mark.kind, "name": timeline.describe(mark), "pid": 0}
                | {"tid": thread, "ts": mark.ns / 1e3, "args": {"value": mark.value}}
            )
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": about}


def title(row: Row) -> str:
    """What a row is called."""
    return "processor" if row.number == PROCESSOR else f"vm {row.number}"


def span_name(timeline: Timeline, span: Span) -> str:
    """What a span is called: its state, `vm 3`, or the function of the kernel that works."""
    if span.what == RUNS:
        return f"vm {span.value}"
    if span.what == WORKS:
        return timeline.names.functions.get(span.value, f"{span.value:#x}")
    return span.what


def _meta(name: str, thread: int, /, **arguments: Any) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": 0, "tid": thread, "args": arguments}


# --- the page -----------------------------------------------------------------------------------


def page(timeline: Timeline, about: dict[str, Any]) -> str:
    """The timeline as one HTML page: columns of numbers in base64, drawn by its own script."""
    whats, kinds = _Numbering(), _Numbering()
    columns = {name: array(code) for name, code in _COLUMNS.items()}
    rows = []
    for row in timeline.rows:
        place = len(columns["begin"]), len(columns["ns"])
        for span in row.spans:
            columns["begin"].append(span.begin - timeline.begin)
            columns["what"].append(whats.number(span.what))
            columns["with"].append(span.value)
        for mark in row.marks:
            columns["ns"].append(mark.ns - timeline.begin)
            columns["kind"].append(kinds.number("merge" if mark.merged else mark.kind))
            columns["value"].append(mark.value)
        rows.append([title(row), place[0], len(row.spans), place[1], len(row.marks)])
    data = {
        "about": about,
        "begin": timeline.begin,
        "length": timeline.end - timeline.begin,
        "events": timeline.count,
        "rows": rows,
        "whats": whats.names,
        "kinds": kinds.names,
        "interrupts": timeline.names.interrupts,
        "instructions": {str(key): value for key, value in timeline.names.instructions.items()},
        "functions": {str(key): value for key, value in _used(timeline).items()},
        "columns": {name: _packed(column) for name, column in columns.items()},
    }
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return TEMPLATE.read_text().replace("@DATA@", text)


# The page's columns and their types: d is a double, B a byte, I 32 bits.
_COLUMNS = {"begin": "d", "what": "B", "with": "I", "ns": "d", "kind": "B", "value": "I"}


class _Numbering:
    """Numbers for names, in the order in which they come."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The name's number."""
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def _packed(column: array[Any]) -> str:
    return base64.b64encode(column.tobytes()).decode()


def _used(timeline: Timeline) -> dict[int, str]:
    """The names of those functions that appear."""
    spans = timeline.rows[0].spans
    wanted = {span.value for span in spans if span.what == WORKS}
    return {at: name for at, name in timeline.names.functions.items() if at in wanted}
