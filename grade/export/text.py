# SPDX-License-Identifier: MIT
"""What every export does to a result's texts: a submission may have chosen them.

A kernel prints what it likes, and a test that fails quotes it. No escape sequence, control character or
reordering of letters gets from there into a terminal, a page or a spreadsheet. Markup is escaped by
whoever writes markup.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 4000  # characters of one text
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|$)"  # OSC, DCS and their like: titles, links
    r"|\x1b[ -/]*[0-~]?"  # all other sequences
    r"|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
_KEPT = "\n\t"
_STRIPPED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's categories


def clean(text: str, longest: int = LONGEST) -> str:
    """`text` without what a terminal or a page would obey, and not longer than `longest`."""
    plain = _ESCAPES.sub("", text)
    plain = "".join(c for c in plain if c in _KEPT or unicodedata.category(c) not in _STRIPPED)
    return plain if len(plain) <= longest else plain[: longest - 4] + " ..."


def line(text: str, longest: int = LONGEST) -> str:
    """The same, in one line."""
    return " ".join(clean(text, longest).split())


def cell(text: str) -> str:
    """The same for a cell of a spreadsheet, which takes no formula from it."""
    plain = line(text)
    return f"'{plain}" if plain[:1] in ("=", "+", "-", "@") else plain
