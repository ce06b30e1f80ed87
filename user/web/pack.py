#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Turn a folder of files into a C table for user/web/files.c, on standard output.

In a text file, {{name}} stands for what web_value_name() of user/web/values.c
writes at each request. A file whose name is an error status (404.html) has that
status, and is what a client gets on that error.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".ico": "image/x-icon",
    ".png": "image/png",
}
VALUES = (".html", ".json", ".txt")  # files in which {{name}} means something
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 501: "Not Implemented"}
PATH_MAX = 63  # WEB_PATH_MAX of user/web/web.h
LINE = 90  # characters of a C string per line


def c_string(data: bytes) -> str:
    """`data` as C string literals; octal escapes, as those have a greatest length."""
    parts: list[str] = []
    for byte in data:
        char = chr(byte)
        if char == "\n":
            parts.append("\\n")
        elif char in '"\\':
            parts.append("\\" + char)
        elif char == "\r":
            parts.append("\\r")
        elif 32 <= byte < 127 and char != "?":  # no trigraphs
            parts.append(char)
        else:
            parts.append(f"\\{byte:03o}")
    lines, line = [], ""
    for part in parts:
        line += part
        if len(line) >= LINE or part == "\\n":
            lines.append(line)
            line = ""
    lines.append(line)
    return "\n\t ".join(f'"{text}"' for text in lines)


def pieces(path: Path) -> list[tuple[bytes, str]]:
    """The file as (text, name of the value that follows or NULL)."""
    data = path.read_bytes()
    if path.suffix not in VALUES:
        return [(data, "NULL")]
    parts = re.split(rb"\{\{(\w+)\}\}", data)
    names = [f"web_value_{name.decode()}" for name in parts[1::2]] + ["NULL"]
    return list(zip(parts[0::2], names, strict=True))


def header(status: int, content_type: str) -> str:
    """The response's header, up to where the body's length goes, as C string literals."""
    text = f"HTTP/1.1 {status} {REASONS[status]}\r\nServer: Denali\r\n"
    return c_string((text + f"Content-Type: {content_type}\r\nContent-Length: ").encode())


def table(folder: Path) -> str:
    """The whole C text for the files in `folder`."""
    text = "/* Written by user/web/pack.py; do not edit. */\n"
    rows = ""
    for index, path in enumerate(sorted(p for p in folder.iterdir() if p.is_file())):
        if path.suffix not in TYPES or len(path.name) >= PATH_MAX:
            raise ValueError(f"{path}: no content type for it, or too long a name")
        found = pieces(path)
        text += f"\nstatic const struct web_piece pieces_{index}[] = {{\n"
        for data, value in found:
            text += f"\t{{{c_string(data)},\n\t {len(data)}, {value}}},\n"
        text += "};\n"
        status = int(path.stem) if re.fullmatch(r"[45]\d\d", path.stem) else 200
        head = header(status, TYPES[path.suffix])
        rows += f'\t{{"/{path.name}", {head},\n\t {len(found)}, pieces_{index}}},\n'
    return text + f"\nstatic const struct web_file web_files[] = {{\n{rows}}};\n"


def main(argv: list[str]) -> int:
    """Write the table of the folder that is the one argument."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    sys.stdout.write(table(Path(argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
