#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Fetch lwIP's source, unmodified, from the distribution.

    conf/lwip.py FOLDER     have lwIP unpacked in FOLDER, with FOLDER/.stamp as the last thing made

The tarball is the one that conf/lwip.sha256 names. It is kept beside FOLDER, in FOLDER-download, so
that a second build needs no network. apt fetches it: the system's own sources of Debian's main
section are copied as source entries into a folder of the build's, with lists and caches of its own,
so nothing of the system changes and no privilege is needed. The signatures that apt checks are the
system's; the checksum is ours. Whatever goes wrong, FOLDER is complete or not there.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CHECKSUM = Path(__file__).resolve().parent / "lwip.sha256"

# A suite of Debian's is one of these, or starts with one and a dash ("bookworm-updates").
SUITES = ("bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable", "oldstable")


class LwipError(Exception):
    """lwIP could not be had; the text says why and what to do."""


# --- the system's apt sources -----------------------------------------------------------------


def is_debian_main(uri: str, suite: str, components: list[str]) -> bool:
    """Whether a source carries Debian's main section (security updates are not needed)."""
    if "main" not in components or uri.startswith("cdrom:"):
        return False
    if "debian" not in uri or "debian-security" in uri or suite.endswith("-security"):
        return False
    return suite.split("-")[0].split("/")[0] in SUITES


def source_line(line: str) -> str | None:
    """The deb-src form of one line of a .list file; None for what isn't Debian's main."""
    match = re.fullmatch(r"deb(?:-src)?\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", _uncomment(line))
    if not match:
        return None
    options, uri, suite, components = match.groups(default="")
    if not is_debian_main(uri, suite, components.split()):
        return None
    return f"deb-src {options}{uri} {suite} main"


def source_stanza(stanza: str) -> str | None:
    """The deb-src form of one stanza of a .sources file; None for what isn't Debian's main."""
    fields = _fields(stanza)
    if fields.get("enabled", "yes").lower() in ("no", "false", "off", "0", "without", "disable"):
        return None
    components = fields.get("components", "").split()
    uris, suites = fields.get("uris", "").split(), fields.get("suites", "").split()
    wanted = [(u, s) for u in uris for s in suites if is_debian_main(u, s, components)]
    if not wanted:
        return None
    fields["types"] = "deb-src"
    fields["uris"] = " ".join(dict.fromkeys(u for u, _ in wanted))
    fields["suites"] = " ".join(dict.fromkeys(s for _, s in wanted))
    fields["components"] = "main"
    fields.pop("architectures", None)
    return "".join(f"{name.title()}: {value}\n" for name, value in fields.items())


def derive_sources(etc: Path) -> tuple[str, str]:
    """The deb-src entries of the apt configuration in `etc` (/etc/apt): a .list and a .sources."""
    lines: list[str] = []
    stanzas: list[str] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            text = path.read_text(errors="replace")
            lines += filter(None, map(source_line, text.splitlines()))
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        text = re.sub(r"(?m)^#.*\n?", "", path.read_text(errors="replace"))
        stanzas += filter(None, map(source_stanza, re.split(r"\n\s*\n", text)))
    return "".join(f"{line}\n" for line in dict.fromkeys(lines)), "\n".join(dict.fromkeys(stanzas))


def _uncomment(line: str) -> str:
    return line.partition("#")[0].strip()


def _fields(stanza: str) -> dict[str, str]:
    """Name in lower case to value, continuation lines (an inline key) included."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1] in (" ", "\t") and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


# --- download -----------------------------------------------------------------------------------


def expected() -> tuple[str, str]:
    """The SHA-256 and the name of the tarball that the project builds with."""
    checksum, name = CHECKSUM.read_text().split()
    return checksum, name


def download(cache: Path, name: str) -> Path:
    """Fetch `name` with apt into a new folder below `cache`; the caller checks it and moves it."""
    if not shutil.which("apt-get"):
        raise LwipError(f"this system has no apt-get: put {name} (Debian's) into {cache}")
    one_line, deb822 = derive_sources(Path("/etc/apt"))
    if not one_line and not deb822:
        raise LwipError(f"/etc/apt names no Debian main section: put {name} into {cache}")
    work = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
    for folder in ("lists/partial", "cache/archives/partial", "parts", "got"):
        (work / folder).mkdir(parents=True)
    (work / "parts/lwip.list").write_text(one_line)
    (work / "parts/lwip.sources").write_text(deb822)
    (work / "apt.conf").write_text(_apt_conf(work))
    log = _apt(work, "update") + _apt(work, "source", "--download-only", "--tar-only", "lwip")
    got = work / "got" / name
    if not got.is_file():
        tail = "\n".join("    " + line for line in log.strip().splitlines()[-6:])
        raise LwipError(
            f"apt could not fetch {name}:\n{tail}\n"
            f"Is the network there? `make` tries again; or put the file into {cache}."
        )
    return got


def _apt_conf(work: Path) -> str:
    """Private sources, lists and caches; no hooks of the system's; readable without user _apt."""
    return (
        "#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n"
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{work}/parts";\n'
        f'Dir::State::lists "{work}/lists";\n'
        f'Dir::Cache "{work}/cache";\n'
        'APT::Sandbox::User "root";\n'
        'Acquire::Retries "2";\n'
    )


def _apt(work: Path, *words: str) -> str:
    """Run apt-get in the private configuration; its combined output (success is judged later)."""
    line = ["apt-get", "-qq", "-c", str(work / "apt.conf"), *words]
    result = subprocess.run(
        line,
        cwd=work / "got",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.stdout


# --- check and unpack -----------------------------------------------------------------------------


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether `path` is a file with this SHA-256 (hexadecimal)."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == checksum


def obtain(cache: Path, checksum: str, name: str) -> Path:
    """The tarball in `cache`, downloaded if it isn't there; never one with another checksum."""
    tarball = cache / name
    if has_checksum(tarball, checksum):
        return tarball
    if tarball.exists():
        print(f"  lwIP    {tarball} is damaged: fetching it again", flush=True)
        tarball.unlink()
    print(f"  lwIP    fetching {name} with apt", flush=True)
    got = download(cache, name)
    if not has_checksum(got, checksum):
        raise LwipError(f"{name} as fetched has not the SHA-256 that {CHECKSUM.name} names")
    got.rename(tarball)
    return tarball


def unpack(tarball: Path, folder: Path, checksum: str) -> None:
    """Replace `folder` by the tarball's content, without its top folder, in one rename."""
    work = Path(tempfile.mkdtemp(prefix="work-", dir=tarball.parent))
    with tarfile.open(tarball) as archive:
        archive.extractall(work)
    tops = list(work.iterdir())
    if len(tops) != 1 or not (tops[0] / "src/core/tcp.c").is_file():
        raise LwipError(f"{tarball} does not hold lwIP's source tree")
    (tops[0] / ".stamp").write_text(checksum + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    tops[0].rename(folder)


def ensure(folder: Path) -> None:
    """Have lwIP in `folder`. Safe against another `make` that does the same at the same time."""
    checksum, name = expected()
    cache = folder.with_name(folder.name + "-download")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = folder / ".stamp"
        if stamp.is_file() and stamp.read_text().strip() == checksum:
            stamp.touch()
            return
        try:
            unpack(obtain(cache, checksum, name), folder, checksum)
        finally:
            for leftover in cache.glob("work-*"):
                shutil.rmtree(leftover, ignore_errors=True)
        print(f"  lwIP    unpacked in {folder}", flush=True)


def main(argv: list[str]) -> int:
    """Run the module's docstring; exit status 1 and one message when lwIP cannot be had."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        ensure(Path(argv[1]).absolute())
    except (LwipError, OSError, tarfile.TarError) as error:
        print(f"conf/lwip.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
