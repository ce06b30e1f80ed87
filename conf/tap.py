# SPDX-License-Identifier: MIT
"""A tap interface on which every VM answers, in a network namespace of one's own.

The host has 10.0.0.1/8 on it. Without root, a user namespace makes its owner root of the network
namespace inside; what that can't give, /dev/net/tun, is checked first and named exactly. The host's
neighbour table ends at 1,024 entries: the VMs' addresses are permanent neighbours, which don't
count. As root, NETNS=host puts the tap on the host itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from conf import qemu
from conf.rundir import RunError

TUN = Path("/dev/net/tun")
INTERFACE = "denali0"


def namespace_command(root: bool) -> list[str]:
    """What to put before a command that shall run in a network namespace of its own."""
    return ["unshare", "-nm"] if root else ["unshare", "-Urnm"]


def check_tun(device: Path = TUN) -> None:
    """RunError, saying what to do, unless this user may make a tap."""
    try:
        os.close(os.open(device, os.O_RDWR))
    except FileNotFoundError:
        raise RunError(f"{device} is missing. As root: modprobe tun") from None
    except PermissionError:
        raise RunError(
            f"{device} may be opened only by root here (mode {device.stat().st_mode & 0o777:04o}). "
            f"As root, once: chmod 0666 {device}   (the usual mode; a tap still needs a namespace "
            "of one's own). Or run make qemu-tap as root."
        ) from None
    except OSError as error:
        raise RunError(f"{device}: {error.strerror}. As root: modprobe tun") from None


def check_namespaces(root: bool) -> None:
    """RunError, saying what to do, unless this user may make a network namespace."""
    line = namespace_command(root) + ["true"]
    if not shutil.which("unshare"):
        raise RunError("unshare is missing: install util-linux")
    result = subprocess.run(line, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        raise RunError(
            f"`{' '.join(line)}` fails ({result.stderr.strip()}): this system gives its users no "
            "namespaces. As root: sysctl kernel.unprivileged_userns_clone=1 "
            "user.max_user_namespaces=10000, or run make qemu-tap as root."
        )


def neighbours(count: int, interface: str = INTERFACE) -> str:
    """Input of `ip -batch`: VMs 1 to `count` as permanent neighbours."""
    lines = []
    for number in range(1, count + 1):
        address, mac = qemu.vm_address(number), qemu.vm_mac(number)
        lines.append(f"neigh replace {address} lladdr {mac} dev {interface} nud permanent\n")
    return "".join(lines)


@contextlib.contextmanager
def interface(count: int, name: str = INTERFACE) -> Iterator[str]:
    """A tap, up, with the gateway's address and `count` neighbours; it is removed at the end."""
    if name in (known for _, known in socket.if_nameindex()):
        raise RunError(f"{name} exists: another make qemu-tap NETNS=host runs on this host")
    _ip("link", "set", "lo", "up")
    _ip("tuntap", "add", "dev", name, "mode", "tap")
    try:
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
        _ip("addr", "add", f"{qemu.GATEWAY}/8", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-batch", "-", text=neighbours(count, name))
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], stderr=subprocess.DEVNULL, check=False)


def wait_for(address: str, port: int, seconds: float, alive: Callable[[], bool]) -> bool:
    """Whether `address` answers on TCP `port`, if only by refusing, while `alive()` holds."""
    end = time.monotonic() + seconds
    while alive() and time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            result = probe.connect_ex((address, port))
        if result in (0, errno.ECONNREFUSED):
            return True
        time.sleep(0.02)
    return False


def _ip(*words: str, text: str | None = None) -> None:
    result = subprocess.run(
        ["ip", *words],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RunError(f"`ip {' '.join(words)}` failed: {result.stdout.strip()}")
