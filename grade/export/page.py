# SPDX-License-Identifier: MIT
"""One page of HTML for a result: what was graded, what it scored, and why. It needs no other file and
runs nothing; no verdict is told by colour alone."""

from __future__ import annotations

import html
from collections.abc import Iterator

from grade.export.facts import failure, notes
from grade.export.text import clean, line
from grade.graded.results import PASS, ExerciseResult, GradingResult, TestResult

_SIGNS = {PASS: "✓", "fail": "✗", "timeout": "⏱", "crash": "✗", "infrastructure": "?"}
_BLOCKS = ("backtrace", "crossings", "console", "seen", "expected")
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5b6670; --line: #d5dae0; --page: #fff;
  --card: #f6f7f9; --good: #17663a; --bad: #a1261a; --bar: #2b6cb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa6b1; --line: #39424b;
  --page: #15191d; --card: #1e242a; --good: #6cc794; --bad: #f08b80; --bar: #6aa5de; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.facts, .why { color: var(--soft); } .total { font-size: 1.15rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { width: 2.5rem; } .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.track { display: block; width: 9rem; height: .6rem; margin-top: .45rem; border: 1px solid var(--line);
  background: var(--card); } .track i { display: block; height: 100%; background: var(--bar); }
details { border: 1px solid var(--line); border-radius: 4px; margin: .5rem 0; background: var(--card); }
summary { cursor: pointer; padding: .45rem .7rem; } summary .worth { float: right; }
summary::after { content: ""; display: block; clear: both; }
.pass { color: var(--good); } .lost { color: var(--bad); } .sign { display: inline-block; width: 1.3em; }
dl { display: grid; grid-template-columns: 6.5rem 1fr; gap: .3rem .6rem; margin: 0; padding: .3rem .7rem .8rem; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { font: 13px/1.45 ui-monospace, monospace; margin: 0; overflow-x: auto; white-space: pre; }
footer { margin-top: 2.5rem; font-size: .85rem; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 40rem) { .track { width: 2.5rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .3rem; } }
@media print { details { break-inside: avoid; } }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def export(results: list[tuple[str, GradingResult]]) -> str:
    """The page of one result; ValueError for several."""
    if len(results) != 1:
        raise ValueError("a page has one result")
    name, result = results[0]
    return "\n".join([*_head(name, result), *_body(name, result), "</body>", "</html>"]) + "\n"


def _text(text: object) -> str:
    return html.escape(clean(str(text)))


def _title(name: str, result: GradingResult) -> str:
    return _text(f"Lab {result.lab}: {result.title}" + (f" - {line(name)}" if name else ""))


def _head(name: str, result: GradingResult) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield '<head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_title(name, result)}</title>"
    yield f"<style>{_STYLE}</style></head>"
    yield "<body>"


def _body(name: str, result: GradingResult) -> Iterator[str]:
    yield f"<h1>{_title(name, result)}</h1>"
    yield f'<p class="total">{result.points} of {result.possible} points</p>'
    for note in notes(result):
        yield f"<p>Note: {_text(note)}</p>"
    yield '<table><thead><tr><th colspan="2">Exercise</th><th></th>'
    yield '<th class="number">Points</th><th>Verdict</th></tr></thead><tbody>'
    yield from (_row(exercise) for exercise in result.exercises)
    yield "</tbody></table>"
    if not result.built:
        yield f"<h2>It doesn't build</h2><pre>{_text(result.build_output)}</pre>"
    for exercise in result.exercises:
        if tests := result.tests_of(exercise.number):
            yield f'<h2 id="e{_text(exercise.number)}">{_text(exercise.number)} {_text(exercise.title)}</h2>'
            yield from (_test(test) for test in tests)
    yield "<footer>" + "<br>".join(_text(fact) for fact in _facts(result)) + "</footer>"


def _row(exercise: ExerciseResult) -> str:
    share = 100 * exercise.points // max(exercise.possible, 1)
    verdict = line(exercise.verdict) + (f" ({exercise.passed} of {exercise.tests})" if exercise.tests else "")
    return (
        f"<tr><td>{_text(exercise.number)}</td><td>{_text(exercise.title)}</td>"
        f'<td><span class="track" aria-hidden="true"><i style="width:{share}%"></i></span></td>'
        f'<td class="number">{exercise.points} / {exercise.possible}</td><td>{_text(verdict)}</td></tr>'
    )


def _test(test: TestResult) -> str:
    kind = "pass" if test.verdict == PASS else "lost"
    sign = _SIGNS.get(test.verdict, "–")
    head = (
        f'<span class="{kind}"><span class="sign" aria-hidden="true">{sign}</span>{_text(test.verdict)}'
        f'</span>: {_text(test.claim)}<span class="worth">{test.points} / {test.possible}</span>'
    )
    told = "".join(_item(label, text) for label, text in failure(test))
    if not told:
        told = _item("rule", line(test.rule)) + _item("why", line(test.why))
    opened = " open" if kind == "lost" else ""
    return f"<details{opened}><summary>{head}</summary><dl>{told}</dl></details>"


def _item(label: str, text: str) -> str:
    if not text:
        return ""
    shown = f"<pre>{_text(text)}</pre>" if label in _BLOCKS else _text(text)
    return f"<dt>{_text(label)}</dt><dd>{shown}</dd>"


def _facts(result: GradingResult) -> list[str]:
    return [
        f"graded {result.started} in {result.seconds:.0f} s with {line(result.compiler)}, QEMU {line(result.qemu)}",
        f"submission {result.submission}",
        f"grader {result.grader}, key {result.key}",
    ]
