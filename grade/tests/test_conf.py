# SPDX-License-Identifier: MIT
"""The tools in conf/: set-up, lwIP's source, ports, folders and QEMU's command line.

Nothing here boots a machine or touches the network; test_run.py starts the real thing.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from conf import boot, lwip, process, qemu, rundir, tap
from labs.files import load

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.quick


def load_run() -> ModuleType:
    """conf/run as a module, though its name has no suffix."""
    loader = importlib.machinery.SourceFileLoader("conf_run", str(ROOT / "conf/run"))
    spec = importlib.util.spec_from_loader("conf_run", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses look their module up by name
    loader.exec_module(module)
    return module


run = load_run()


# --- apt sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, expected",
    [
        ("deb http://m/debian bookworm main", "deb-src http://m/debian bookworm main"),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://m/debian/ bookworm main contrib # near",
            "deb-src [arch=amd64 signed-by=/k.gpg] http://m/debian/ bookworm main",
        ),
        ("deb-src http://m/debian stable main", "deb-src http://m/debian stable main"),
        ("# deb http://mirror.example.org/debian bookworm main", None),
        ("deb http://mirror.example.org/debian-security bookworm-security main", None),
        ("deb https://third.example.org/linux/debian bookworm stable", None),
        ("deb http://fourth.example.org/ubuntu jammy main universe", None),
        ("deb https://other.example.org/node_20.x nodistro main", None),
        ("deb cdrom:[Debian GNU/Linux 12]/ bookworm main", None),
        ("", None),
    ],
)
def test_a_one_line_source_becomes_a_source_entry(line: str, expected: str | None) -> None:
    assert lwip.source_line(line) == expected


def test_a_deb822_stanza_becomes_a_source_entry() -> None:
    stanza = (
        "Types: deb\nURIs: http://mirror.example.org/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main non-free\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        "Architectures: amd64\n"
    )
    assert lwip.source_stanza(stanza) == (
        "Types: deb-src\nUris: http://mirror.example.org/debian\nSuites: bookworm bookworm-updates\n"
        "Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_a_deb822_stanza_keeps_its_inline_key() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n -----END-----\n"
    stanza = f"Types: deb\nURIs: http://m/debian\nSuites: sid\nComponents: main\n{key}"
    derived = lwip.source_stanza(stanza)
    assert derived is not None and derived.endswith(key.replace("Signed-By:\n", "Signed-By: \n"))


@pytest.mark.parametrize("extra", ["Enabled: no\n", "Components: contrib\n", "Suites: jammy\n"])
def test_other_deb822_stanzas_are_left_out(extra: str) -> None:
    stanza = "Types: deb\nURIs: http://m/debian\nSuites: bookworm\nComponents: main\n"
    assert lwip.source_stanza(stanza + extra) is None


def test_sources_are_derived_from_both_formats(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://a/debian bookworm main\n")
    (parts / "b.list").write_text(
        "deb http://b/debian bookworm main\ndeb http://a/debian bookworm main\n"
    )
    (parts / "c.sources").write_text(
        "# a comment\nTypes: deb\n# another\nURIs: http://c/debian\nSuites: bookworm\n"
        "Components: main\n"
        "\nTypes: deb\nURIs: http://d/ubuntu\nSuites: jammy\nComponents: main\n"
    )
    (parts / "d.sources.disabled").write_text(
        "Types: deb\nURIs: http://e/debian\nSuites: sid\nComponents: main\n"
    )
    lines, stanzas = lwip.derive_sources(tmp_path)
    assert lines == "deb-src http://a/debian bookworm main\ndeb-src http://b/debian bookworm main\n"
    assert stanzas == "Types: deb-src\nUris: http://c/debian\nSuites: bookworm\nComponents: main\n"


# --- lwIP's source --------------------------------------------------------------------------------


@pytest.fixture
def tarball(tmp_path: Path) -> bytes:
    """A tarball that looks like lwIP's."""
    source = tmp_path / "make/lwip-2/src/core/tcp.c"
    source.parent.mkdir(parents=True)
    source.write_text("int tcp;\n")
    with tarfile.open(tmp_path / "lwip.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "make/lwip-2", "lwip-2")
    return (tmp_path / "lwip.tar.xz").read_bytes()


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tarball: bytes) -> list[bytes]:
    """lwip.py expects `tarball`, and each download gives the next element of the list."""
    served: list[bytes] = []

    def download(cache: Path, name: str) -> Path:
        work = cache / "work-pretended"
        work.mkdir()
        (work / name).write_bytes(served.pop(0))
        return work / name

    checksum = hashlib.sha256(tarball).hexdigest()
    monkeypatch.setattr(lwip, "expected", lambda: (checksum, "lwip.tar.xz"))
    monkeypatch.setattr(lwip, "download", download)
    return served


def test_lwip_is_fetched_once_and_unpacked(
    tmp_path: Path, tarball: bytes, pretend: list[bytes]
) -> None:
    pretend.append(tarball)
    lwip.ensure(tmp_path / "lwip")
    lwip.ensure(tmp_path / "lwip")  # a second download would find nothing to pop
    assert (tmp_path / "lwip/src/core/tcp.c").read_text() == "int tcp;\n"
    assert sorted(os.listdir(tmp_path / "lwip-download")) == [".lock", "lwip.tar.xz"]


def test_lwip_unpacks_from_the_cache_without_a_network(
    tmp_path: Path, tarball: bytes, pretend: list[bytes]
) -> None:
    (tmp_path / "lwip-download").mkdir()
    (tmp_path / "lwip-download/lwip.tar.xz").write_bytes(tarball)
    lwip.ensure(tmp_path / "lwip")
    assert (tmp_path / "lwip/.stamp").exists()


def test_a_wrong_checksum_leaves_nothing(
    tmp_path: Path, tarball: bytes, pretend: list[bytes]
) -> None:
    pretend.append(tarball[:-1])
    with pytest.raises(lwip.LwipError, match="SHA-256"):
        lwip.ensure(tmp_path / "lwip")
    assert not (tmp_path / "lwip").exists()
    assert os.listdir(tmp_path / "lwip-download") == [".lock"]


def test_a_damaged_cache_is_fetched_again(
    tmp_path: Path, tarball: bytes, pretend: list[bytes]
) -> None:
    (tmp_path / "lwip-download").mkdir()
    (tmp_path / "lwip-download/lwip.tar.xz").write_bytes(b"half a download")
    pretend.append(tarball)
    lwip.ensure(tmp_path / "lwip")
    assert (tmp_path / "lwip/.stamp").exists()


def test_without_a_network_one_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_command(tmp_path / "bin", "apt-get", "echo 'E: Could not resolve the mirror'; exit 100")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    sources = ("deb-src http://m/debian sid main\n", "")
    monkeypatch.setattr(lwip, "derive_sources", lambda etc: sources)
    assert lwip.main(["lwip.py", str(tmp_path / "lwip")]) == 1
    message = capsys.readouterr().err
    assert "could not fetch lwip_" in message and "Could not resolve" in message
    assert not (tmp_path / "lwip").exists()


# --- packages -------------------------------------------------------------------------------------


def fake_command(folder: Path, name: str, script: str) -> None:
    """A command that does `script`, in a folder to be used as PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{script}\n")
    (folder / name).chmod(0o755)


def run_setup(path: Path, *groups: str) -> subprocess.CompletedProcess[str]:
    """conf/setup on a machine that has only the commands in `path`, and those to write a script."""
    for name in ("uname", "mktemp", "tail", "rm", "env", "touch", "chmod"):
        if not (path / name).exists():
            (path / name).symlink_to(f"/usr/bin/{name}")
    return subprocess.run(
        ["/bin/bash", ROOT / "conf/setup", *groups],
        env={"PATH": str(path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_says_nothing_when_nothing_is_missing(tmp_path: Path) -> None:
    for name in ("gcc", "ld", "qemu-system-i386"):
        fake_command(tmp_path / "bin", name, "")
    result = run_setup(tmp_path / "bin", "run")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_setup_without_root_gives_the_exact_command(tmp_path: Path) -> None:
    fake_command(tmp_path / "bin", "id", "echo 1000")
    fake_command(tmp_path / "bin", "apt-get", "echo must not run; exit 1")
    result = run_setup(tmp_path / "bin", "run")
    assert result.returncode == 1 and result.stdout == ""
    command = "sudo apt-get update && sudo apt-get install --no-install-recommends"
    assert f"    {command} gcc binutils qemu-system-x86\n" in result.stderr


def test_setup_as_root_installs_only_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "bin"
    fake_command(path, "id", "echo 0")
    fake_command(path, "gcc", "")
    install = f"touch {path}/ld {path}/qemu-system-i386; chmod +x {path}/*"
    fake_command(path, "apt-get", f'echo "$*" >>{tmp_path}/log; {install}')
    result = run_setup(path, "run")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "conf/setup: installing binutils qemu-system-x86\n"
    assert (tmp_path / "log").read_text().endswith(" binutils qemu-system-x86\n")


def test_setup_says_so_when_apt_fails(tmp_path: Path) -> None:
    fake_command(tmp_path / "bin", "id", "echo 0")
    fake_command(tmp_path / "bin", "apt-get", "echo E: no route to the mirror; exit 100")
    result = run_setup(tmp_path / "bin", "run")
    assert result.returncode == 1
    assert "no route to the mirror" in result.stderr and "Is the network there?" in result.stderr


def test_setup_without_apt_names_what_is_needed(tmp_path: Path) -> None:
    fake_command(tmp_path / "bin", "id", "echo 0")
    result = run_setup(tmp_path / "bin", "run", "debug")
    assert result.returncode == 1
    assert "gcc binutils qemu-system-x86 gdb" in result.stderr
    assert "apt-get install" not in result.stderr


# --- QEMU's command line --------------------------------------------------------------------------


def test_modules_carry_their_options_and_escape_commas() -> None:
    modules = (qemu.Module("build/user/a", 3, "8M", "x=1,2"), qemu.Module("build/user/b"))
    line = qemu.command(qemu.Run(modules=modules))
    assert line[line.index("-initrd") + 1] == "build/user/a count=3 mem=8M -- x=1,,2,build/user/b"


def test_modules_carry_what_they_are_and_their_disks() -> None:
    module = qemu.Module("u/kv", 2, disks=("data-%", "site"), words=("image",), args="x")
    assert module.string() == "u/kv count=2 disk=data-% disk=site image -- x"
    assert qemu.Module("web.boot", words=("script",)).string() == "web.boot script"


def test_disks_are_known_by_their_serials() -> None:
    run = qemu.Run(disk=qemu.raw_disk("a,b.img"), swap=(qemu.raw_disk("s0"), qemu.raw_disk("s1")))
    text = qemu.printable(qemu.command(run))
    assert "id=d0,if=none,format=raw,file=a,,b.img" in text
    assert "drive=d0,disable-legacy=on,serial=disk" in text
    assert "drive=d1,disable-legacy=on,serial=swap0" in text
    assert "drive=d2,disable-legacy=on,serial=swap1" in text


def test_the_control_port_leads_to_the_supervisor() -> None:
    forwards = qemu.user_network(8080, control=7000)
    assert "hostfwd=tcp:127.0.0.1:7000-10.1.0.0:700" in forwards
    assert "-10.1.0.0:" not in qemu.user_network(8080)


def test_a_path_with_a_space_is_refused() -> None:
    with pytest.raises(ValueError, match="relative"):
        qemu.command(qemu.Run(kernel="/home/some one/denali"))


def test_the_network_card_belongs_to_the_netdev() -> None:
    line = qemu.command(qemu.Run(netdev=qemu.user_network(8081)))
    netdev = line[line.index("-netdev") + 1]
    forward = "hostfwd=tcp:127.0.0.1:8081-10.1.0.1:80"
    assert netdev == f"user,id=n0,net=10.0.0.0/8,host=10.0.0.1,{forward}"
    assert "virtio-net-pci,netdev=n0,disable-legacy=on,romfile=" in line
    assert not any("virtio-net" in word for word in qemu.command(qemu.Run()))


def test_addresses_follow_the_number() -> None:
    assert qemu.vm_address(1) == "10.1.0.1" and qemu.vm_mac(1) == "02:00:0a:01:00:01"
    assert qemu.vm_address(10_000) == "10.1.39.16" and qemu.vm_mac(10_000) == "02:00:0a:01:27:10"
    assert qemu.vm_address(0) == qemu.SUPERVISOR
    for number in (-1, qemu.VM_MAX + 1):
        with pytest.raises(ValueError):
            qemu.vm_address(number)


# --- running -----------------------------------------------------------------------------------


def test_before_there_are_webs_one_vm_is_hostile(tmp_path: Path) -> None:
    """Lab 2 ends with sixteen VMs, one of them hostile: what `make qemu` shows then. A program that
    is asked for runs alone."""
    programs = {"PROGRAMS": "hello spin attack hostile-write-kernel"}
    settings = run.read_settings("build", programs)
    assert settings.attacked
    assert not run.read_settings("build", {**programs, "GUEST": "hello"}).attacked
    assert not run.read_settings("build", {"PROGRAMS": programs["PROGRAMS"] + " httpd"}).attacked
    (tmp_path / "user").mkdir()
    for name in programs["PROGRAMS"].split():
        (tmp_path / "user" / name).touch()
    made = run.machine(replace(settings, build=str(tmp_path))).modules
    assert [(Path(module.image).name, module.count) for module in made] == [
        ("spin", 8), ("hostile-write-kernel", 1), ("spin", 7),
    ]  # fmt: skip


def test_memory_grows_with_the_number_of_vms() -> None:
    assert run.read_settings("build", {}).memory == 256
    assert run.read_settings("build", {"VMS": "10000"}).memory == 128 + 10_000 * 96 // 1024
    assert run.read_settings("build", {"VMS": "10000", "MEM": "1024"}).memory == 1024


@pytest.mark.parametrize(
    "name, text",
    [
        ("VMS", "0"),
        ("VMS", "many"),
        ("PORT", "65536"),
        ("MEM", "3"),
        ("FORWARD", "6379=5"),
        ("SWAP", "5"),
        ("SWAPSIZE", "0"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name: str, text: str) -> None:
    with pytest.raises(rundir.RunError, match=f"{name}={text}"):
        run.read_settings("build", {name: text})


def test_swap_disks_are_as_large_as_the_regions_of_all_vms(tmp_path: Path) -> None:
    """Sparse, made for the run and gone after it; KEEP keeps them; files with names stay."""
    wanted = {"SWAP": "2", "VMS": "1000", "THROTTLE": "iops-total=100"}
    settings = replace(run.read_settings("build", wanted), build=str(tmp_path))
    assert settings.swap_mb == 1001 * 8
    for keep in (False, True):
        with run.swap_made(replace(settings, keep=keep)) as made:
            files = [Path(name) for name in made.swap]
            assert [file.stat().st_size >> 20 for file in files] == [8008, 8008]
            assert files[0].stat().st_blocks == 0
            drives = [qemu.swap_disk(file, made.throttle) for file in files]
        assert [file.exists() for file in files] == [keep, keep]
    assert run.machine(replace(made, guest="")).swap == tuple(drives)
    assert drives[1].endswith("swap1,cache=unsafe,throttling.iops-total=100")
    settings = run.read_settings("build", {"SWAP": str(files[0]), "ARGS": "region=1"})
    assert settings.swap == (str(files[0]),) and settings.swap_disks == 0


def test_a_region_may_be_smaller_than_by_default() -> None:
    settings = run.read_settings("build", {"SWAP": "1", "VMS": "99", "ARGS": "region=1 x=y"})
    assert settings.swap_mb == 100


def test_faults_of_a_disk_are_rules_of_qemu() -> None:
    drive = qemu.failing_disk("a,b", "read@800", "write")
    assert "image.filename=a,,b,inject-error.0.event=none,inject-error.0.iotype=read" in drive
    assert "inject-error.0.sector=800," in drive
    assert drive.endswith("inject-error.1.iotype=write,inject-error.1.errno=5")


def test_more_ports_are_forwarded_as_asked() -> None:
    settings = run.read_settings("build", {"FORWARD": "6379=5:6379 5001=300:5001"})
    assert settings.forward == ((6379, 5, 6379), (5001, 300, 5001))


def test_a_missing_program_is_named_with_the_script_that_wants_it(tmp_path: Path) -> None:
    script = tmp_path / "x.boot"
    script.write_text("vm nosuch\n")
    (tmp_path / "user").mkdir()
    (tmp_path / "user/supervisor").touch()
    settings = replace(run.read_settings("build", {"BOOT": str(script)}), build=str(tmp_path))
    with pytest.raises(rundir.RunError, match=f"{script}: .* is not built"):
        run.machine(settings)


def test_a_boot_script_says_what_must_be_there(tmp_path: Path) -> None:
    script = tmp_path / "x.boot"
    script.write_text(
        '# vm no\n\nvm httpd count=16 mem=8M args="count=9 x"\n disk data 64M\n'
        "create kv disk=data\nvm httpd # again\nvm\nbad \"quote\nvm spin count=x\n"
    )
    assert boot.read(script) == boot.Script(("httpd", "kv", "spin"), 19, True)


def test_the_supervisor_boots_what_its_script_names(tmp_path: Path) -> None:
    for name in ("supervisor", "httpd", "kv"):
        (tmp_path / "user").mkdir(exist_ok=True)
        (tmp_path / "user" / name).write_bytes(b"")
    script = tmp_path / "two.boot"
    script.write_text("vm httpd count=20\nvm kv\n")
    settings = run.read_settings(str(tmp_path), {"BOOT": str(script), "PROGRAMS": "httpd"})
    machine = run.machine(settings, tmp_path / "key")
    assert "vms=85" in machine.append
    assert [module.string().partition(" ")[2] for module in machine.modules] == [
        "supervisor -- control=module:2", "script", "data", "image", "image",
    ]  # fmt: skip
    assert machine.modules[run.KEY_MODULE].image == tmp_path / "key"


@pytest.mark.parametrize(
    "kind, environ, script",
    [
        ("qemu", {}, "conf/web.boot"),
        ("qemu-gdb", {}, "conf/web.boot"),
        ("qemu-tap", {}, ""),
        ("qemu", {"VMS": "200"}, ""),
        ("qemu", {"GUEST": "echo"}, ""),
        ("qemu", {"BOOT": "conf/1000.boot", "VMS": "3"}, "conf/1000.boot"),
        ("qemu", {"PROGRAMS": "hello"}, ""),
    ],
)
def test_the_supervisor_is_there_unless_vms_are_asked_for_directly(
    kind: str, environ: dict[str, str], script: str
) -> None:
    programs = {"PROGRAMS": "hello httpd supervisor"}
    assert run.read_settings("build", {**programs, **environ}, kind).script == script


def test_scripts_of_the_project_name_programs_that_exist() -> None:
    programs = {program.name for program in load(ROOT).programs}
    for script in (ROOT / "conf").glob("*.boot"):
        assert set(boot.read(script).programs) <= programs, script


def test_a_taken_port_is_passed_over_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        monkeypatch.setattr(run, "PORT_FIRST", port)
        assert run.choose_port(None) > port
        with pytest.raises(rundir.RunError, match=f"port {port} is taken"):
            run.choose_port(port)


def test_two_runs_have_two_folders_that_only_their_owner_enters(tmp_path: Path) -> None:
    with rundir.create(ROOT, "qemu", tmp_path) as one, rundir.create(ROOT, "qemu", tmp_path) as two:
        assert one != two
        assert one.stat().st_mode & 0o777 == 0o700
        assert rundir.newest(ROOT, "qemu", tmp_path) == two
        assert rundir.newest(ROOT, "qemu-gdb", tmp_path) is None
        assert rundir.newest(Path("/elsewhere"), "qemu", tmp_path) is None
    assert os.listdir(tmp_path) == []


def test_the_folder_of_a_killed_run_goes_when_the_next_starts(tmp_path: Path) -> None:
    dead = tmp_path / "run-dead"
    dead.mkdir()
    (dead / "about.json").write_text("{}")
    os.utime(dead, (1, 1))
    with rundir.create(ROOT, "qemu", tmp_path) as one:
        assert os.listdir(tmp_path) == [one.name]


def test_a_folder_that_somebody_else_planted_is_refused() -> None:
    with tempfile.TemporaryDirectory() as short:  # tmp_path may be too long for a socket's path
        (Path(short) / "denali").symlink_to("/")
        with pytest.raises(rundir.RunError, match="somebody else"):
            rundir.base({"XDG_RUNTIME_DIR": short})


def test_a_path_too_long_for_a_socket_is_not_used(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    assert rundir.base({"XDG_RUNTIME_DIR": str(deep)}) == Path(f"/tmp/denali-{os.getuid()}")


@pytest.mark.parametrize(
    "status, reason, code, text",
    [
        (33, "guest-shutdown", 0, "every VM has ended"),
        (253, "guest-shutdown", 1, "panicked"),
        (249, "guest-shutdown", 1, "refused to start"),
        (0, "guest-reset", 1, "triple fault"),
        (0, "host-qmp-quit", 0, ""),
        (1, "", 1, "status 1"),
    ],
)
def test_the_way_a_machine_ended_is_told(status: int, reason: str, code: int, text: str) -> None:
    ours, sentence = process.ended(status, reason)
    assert ours == code and text in sentence and bool(sentence) == bool(text)


def test_a_tap_that_cannot_be_made_says_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(rundir.RunError, match="modprobe tun"):
        tap.check_tun(tmp_path / "none")
    device = tmp_path / "tun"
    device.touch(0o600)

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(rundir.RunError, match=r"mode 0600\).*chmod 0666"):
        tap.check_tun(device)


def test_every_vm_is_a_permanent_neighbour() -> None:
    lines = tap.neighbours(2000).splitlines()
    assert len(lines) == 2000
    lladdr = "02:00:0a:01:01:2c"
    assert lines[299] == f"neigh replace 10.1.1.44 lladdr {lladdr} dev denali0 nud permanent"


def test_a_stage_runs_a_guest_that_it_has() -> None:
    """An image that a later stage has left in the build folder is not taken."""
    expected = {"": "", "hello spin": "hello", "hello spin httpd": "httpd"}
    for programs, guest in expected.items():
        assert run.read_settings("build", {"PROGRAMS": programs}).guest == guest
