# SPDX-License-Identifier: MIT
"""The QEMU command line, in one place.

`make qemu` (conf/run) and the test harness (grade/harness) start the same machine: the PC that the
kernel is written for. This module turns a description of a run into a list of arguments. It is
pure: it starts nothing, reads nothing and knows nothing of ports, sockets' folders or processes,
which its callers own. `printable` gives the same command as a line for a shell.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path, PurePath

QEMU = "qemu-system-i386"
CPU = "qemu32,+umip,+smep,+smap"
DEBUG_EXIT_PORT = 0xF4

# QEMU's exit statuses. isa-debug-exit gives (value << 1) | 1.
EXIT_DONE = 33  # the kernel left with 0x10: the last VM has ended, when-done=exit
EXIT_PANIC = 253  # the kernel left with 0x7e
EXIT_FATAL = 249  # the kernel left with 0x7c: it can't start as it was told to
EXIT_RESET = 0  # a triple fault under -no-reboot; also what a person's Ctrl-A x gives

# The network as every VM sees it; VM k is 10.1.0.0 + k. Prefix length 8.
NETWORK = "10.0.0.0/8"
GATEWAY = "10.0.0.1"
FIRST_VM = 0x0A010000  # 10.1.0.0 in host order: VM 0, reserved for the supervisor
SUPERVISOR = "10.1.0.0"  # VM 0
VM_MAX = 0x3FFFF  # the last address is 10.4.255.255

HTTP_PORT = 80
CONTROL_PORT = 700  # the supervisor's, where control over the network is on


def vm_address(number: int) -> str:
    """IPv4 address of VM `number` (0 to VM_MAX) in dotted form; ValueError outside the range."""
    if not 0 <= number <= VM_MAX:
        raise ValueError(f"VM numbers go from 0 to {VM_MAX}, not {number}")
    return ".".join(str(byte) for byte in (FIRST_VM + number).to_bytes(4, "big"))


def vm_mac(number: int) -> str:
    """Ethernet address of VM `number`: 02:00 and the four bytes of its IPv4 address."""
    vm_address(number)
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + (FIRST_VM + number).to_bytes(4, "big"))


@dataclass(frozen=True)
class Module:
    """One multiboot module: a guest image and how the kernel makes VMs of it, or a file for the
    supervisor.

    `memory` is written as the kernel reads it ("16M"); empty means the kernel's default. `args` are
    the guest's boot arguments, at most 255 bytes. `disks` are names of virtual disks to attach; with
    a count, % stands for the ordinal. `words` say what else the module is: "supervisor" (this image
    becomes VM 0), "image" (kept for the supervisor), "data" (no image: the supervisor may read it),
    "script" (as data, and the boot script).
    """

    image: str | PurePath
    count: int = 1
    memory: str = ""
    args: str = ""
    disks: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def string(self) -> str:
        """The module's string. QEMU cuts the file's name at the first space: none is allowed."""
        words = [_plain_path(self.image)]
        if self.count != 1:
            words.append(f"count={self.count}")
        if self.memory:
            words.append(f"mem={self.memory}")
        words += [f"disk={name}" for name in self.disks]
        words += self.words
        if self.args:
            words += ["--", self.args]
        return " ".join(words)


@dataclass(frozen=True)
class Run:
    """One run of the machine.

    `memory` is MB of RAM; `append` the kernel's options, one per element; `serial` the value of
    -serial (see QEMU's -serial: "mon:stdio", "file:...", "chardev:..."); `netdev` a -netdev value
    from one of the functions below, without its id, or None for a machine without a network card;
    `disk` a -drive value without id and if, or None: the disk that holds the virtual disks; `swap`
    the same for up to four swap disks; `qmp` and `gdb` paths of UNIX sockets that
    QEMU listens on; `stopped` waits for a debugger before the first instruction; `extra` is passed
    on as it is.
    """

    kernel: str | PurePath = "build/kern/denali"
    memory: int = 256
    append: tuple[str, ...] = ()
    modules: tuple[Module, ...] = ()
    serial: str = "stdio"
    netdev: str | None = None
    disk: str | None = None
    swap: tuple[str, ...] = ()
    qmp: Path | None = None
    gdb: Path | None = None
    stopped: bool = False
    extra: tuple[str, ...] = ()


def command(run: Run) -> list[str]:
    """The argument list that starts `run`; ValueError if a path cannot be passed to the kernel."""
    line = [QEMU, "-machine", "pc", "-cpu", CPU, "-m", str(run.memory)]
    line += ["-nodefaults", "-display", "none", "-no-reboot"]
    line += ["-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=4"]
    line += ["-serial", run.serial, "-kernel", _plain_path(run.kernel)]
    if run.append:
        line += ["-append", " ".join(run.append)]
    if run.modules:
        line += ["-initrd", ",".join(escape(module.string()) for module in run.modules)]
    line += _devices(run)
    if run.qmp:
        line += ["-qmp", unix_socket(run.qmp)]
    if run.gdb:
        line += ["-gdb", unix_socket(run.gdb)]
    if run.stopped:
        line.append("-S")
    return line + list(run.extra)


def printable(line: list[str]) -> str:
    """`line` as a person can paste it into a shell."""
    return shlex.join(line)


def escape(text: str | PurePath) -> str:
    """`text` inside a comma-separated QEMU option: a comma is written twice."""
    return str(text).replace(",", ",,")


def unix_socket(path: Path) -> str:
    """A character device that listens on `path` and waits for nobody."""
    return f"unix:{escape(path)},server=on,wait=off"


def user_network(port: int | None, number: int = 1, control: int | None = None) -> str:
    """User-mode network; 127.0.0.1:`port` on the host is port 80 of VM `number`, and
    127.0.0.1:`control` the supervisor's control port, each if it is given."""
    words = ["user", f"net={NETWORK}", f"host={GATEWAY}"]
    if port is not None:
        words.append(f"hostfwd=tcp:127.0.0.1:{port}-{vm_address(number)}:{HTTP_PORT}")
    if control is not None:
        words.append(f"hostfwd=tcp:127.0.0.1:{control}-{SUPERVISOR}:{CONTROL_PORT}")
    return ",".join(words)


def raw_disk(path: str | PurePath) -> str:
    """A file of the host, as it is, for a Run's `disk`."""
    return f"format=raw,file={escape(path)}"


def swap_disk(path: str | PurePath, throttle: str = "") -> str:
    """The same for a Run's `swap`: nobody needs its content after the run, so QEMU never waits for
    the host's disk. `throttle` are QEMU's limits, as in "iops-total=100,bps-total=20000000"."""
    limits = "".join(f",throttling.{limit}" for limit in throttle.split(",") if limit)
    return f"{raw_disk(path)},cache=unsafe{limits}"


def failing_disk(path: str | PurePath, *faults: str) -> str:
    """A file on which transfers fail: "read" or "write", or those alone that touch a sector, as in
    "read@800"."""
    drive = f"driver=blkdebug,image.driver=file,image.filename={escape(path)}"
    for number, fault in enumerate(faults):
        kind, _, sector = fault.partition("@")
        rule = f"inject-error.{number}"
        drive += f",{rule}.event=none,{rule}.iotype={kind},{rule}.errno=5"
        drive += f",{rule}.sector={sector}" if sector else ""
    return drive


def tap_network(interface: str) -> str:
    """An existing tap interface of the network namespace that QEMU runs in."""
    return f"tap,ifname={interface},script=no,downscript=no"


def dgram_network(local: Path, remote: Path) -> str:
    """One frame is one datagram: QEMU binds `local` (not there yet), sends to `remote`."""
    ends = f"local.type=unix,local.path={escape(local)}"
    return f"dgram,{ends},remote.type=unix,remote.path={escape(remote)}"


def _devices(run: Run) -> list[str]:
    line = []
    if run.netdev is not None:
        kind, _, rest = run.netdev.partition(",")
        line += ["-netdev", f"{kind},id=n0" + (f",{rest}" if rest else "")]
        line += ["-device", "virtio-net-pci,netdev=n0,disable-legacy=on,romfile="]
    disks = [("disk", run.disk)] if run.disk is not None else []
    disks += [(f"swap{number}", drive) for number, drive in enumerate(run.swap)]
    for number, (serial, drive) in enumerate(disks):
        line += ["-drive", f"id=d{number},if=none,{drive}"]
        # A full disk of the host is an error for who writes; by default it stops the machine.
        errors = "werror=report,rerror=report"
        device = f"virtio-blk-pci,drive=d{number},disable-legacy=on,serial={serial},{errors}"
        line += ["-device", device]
    return line


def _plain_path(path: str | PurePath) -> str:
    text = str(path)
    if any(char.isspace() for char in text):
        raise ValueError(f"{text!r}: a space would end the name; start QEMU with relative paths")
    return text
