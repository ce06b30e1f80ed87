# SPDX-License-Identifier: MIT
"""Control over the network: who may talk to the supervisor, and whom it obeys.

What the protocol withstands is judged without a machine in test_control_units.py.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import socket
import subprocess
import time

import pytest

from conf.remote import Answer, Remote, RemoteError, Session
from grade.harness import packet
from grade.harness.lab import Lab
from grade.harness.shell import Shell
from grade.harness.verdict import TimedOut
from grade.harness.wire import Wire
from grade.tests.test_switch import PRELUDE

pytestmark = pytest.mark.long

STRANGER = "10.0.0.2"


def _echo(wire: Wire, number: int, source: str) -> None:
    """A datagram from `source` to the echo of frames in VM `number`; TimedOut without an answer."""
    data = f"from {source}".encode()
    datagram = packet.udp(source, 4000, packet.vm_address(number), 7, data)
    wire.ask(packet.to_vm(number, datagram), lambda f: f.kind == "udp" and f.data == data, 2.0)


def test_supervisor_hears_the_gateway_alone(lab: Lab) -> None:
    """Whoever else is on the cable isn't even refused: his frames don't come to VM 0. VM 1, which
    runs the same program, hears both."""
    wire = lab.wire()
    frames = lab.guest("frames", words=("supervisor",))
    machine = lab.boot(frames, "frames", wire=wire)
    for number, source in ((0, packet.HOST_IP), (1, packet.HOST_IP), (1, STRANGER)):
        _echo(wire, number, source)
    for source in (STRANGER, "10.1.0.9", "0.0.0.0", "11.0.0.1"):
        with pytest.raises(TimedOut):
            _echo(wire, 0, source)
    _echo(wire, 0, packet.HOST_IP)
    assert machine.counter("net_dropped_supervisor") >= 4


def test_switch_answers_for_the_supervisor(lab: Lab) -> None:
    """The gateway finds VM 0 as it finds every VM."""
    wire = lab.wire()
    lab.boot(lab.guest("frames", words=("supervisor",)), wire=wire)
    request = packet.arp_request(packet.vm_address(0))
    answer = wire.ask(request, lambda f: f.kind == "arp" and f.operation == 2)
    assert answer.source == "10.1.0.0" and answer.data == packet.mac_bytes(packet.vm_mac(0))


def test_no_vm_reaches_the_supervisor(lab: Lab) -> None:
    """Frames between VMs don't pass the cable: here the switch itself must refuse. VM 2 hears what
    VM 1 says to it, VM 0 hears nothing, ARP answers included."""
    send = """
static int run(void)
{
	idle(now() + 50000000);
	for (u32 i = 0; i < 50; i++) {
		make(0, i);
		CHECK(send() == 0);
		frame[12] = 8, frame[13] = 6, frame[15] = 1, frame[14] = 0, frame[16] = 8;
		frame[17] = 0, frame[18] = 6, frame[19] = 4, frame[20] = 0, frame[21] = 2;
		address(frame + 22, frame + 28, 1);
		CHECK(send() == 0);
		for (u32 j = 0; j < 60; j++)
			frame[j] = 0;
	}
	make(2, 77);
	CHECK(send() == 0);
	return 0;
}
"""
    listen = """
static int run(void)
{
	i32 got = receive(now() + 1000000000);
	say_number("heard ", got == -E_AGAIN ? 0 : *(u32 *)(room + 44));
	return 0;
}
"""
    supervisor = lab.program(PRELUDE + listen, words=("supervisor",))
    machine = lab.boot(
        supervisor, lab.program(PRELUDE + send), lab.program(PRELUDE + listen),
        options="console=all",
    )  # fmt: skip
    machine.expect("^vm 1: terminated, status 0")
    machine.expect("^vm 0: terminated, status 0")
    assert machine.serial.lines(2) == ["heard 77"]
    assert "heard 0" in machine.serial.text()
    assert machine.counter("net_dropped_supervisor") == 100


# --- the real thing: a server in VM 0, clients on the host ---------------------------------------

KEY = secrets.token_bytes(32)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _boot(lab: Lab, script: str = "vm echo count=3") -> tuple[Shell, int]:
    port = _free_port()
    shell = Shell(lab, script, ("echo",), args=f"control={KEY.hex()}", control=port)
    return shell, port


def _connect(port: int, key: bytes = KEY) -> Remote:
    """A connection; tried again while the server isn't up."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return Remote("127.0.0.1", port, key)
        except RemoteError as error:
            if "know" in str(error) or time.monotonic() > deadline or key != KEY:
                raise
            time.sleep(0.1)


def test_commands_come_over_the_network(lab: Lab) -> None:
    """The same commands as at the console, several on one connection; answers of any length come
    whole, failures are told as failures."""
    _, port = _boot(lab)
    with _connect(port) as remote:
        assert "4 VMs:" in remote.command("vms").text
        assert remote.command("stat 17") == Answer("stat: no VM 17\n", False)
        assert remote.command("create echo count=40").good
        listed = remote.command("vms all")
        assert len(listed.text.splitlines()) == 46 and len(listed.text) > 2048 and listed.good
        assert remote.command("") == Answer("", True)
        assert "nothing is typed here" in remote.command("history").text
        assert "echo: serving" in remote.command("console 1").text
        assert "CPU%" in remote.command("top").text
        assert remote.command("kill 3").good
    with _connect(port) as again:
        assert "dead" in again.command("vms 3").text


def test_client_program_tells_what_the_supervisor_says(lab: Lab) -> None:
    """conf/control for a person or a script: the answer, and a status that tells of failures."""
    _, port = _boot(lab)
    _connect(port).close()
    key = lab.folder() / "key"
    key.write_text(KEY.hex() + "\n")

    def control(*words: str, stdin: str = "") -> tuple[int, str]:
        line = ["/usr/bin/python3", "conf/control", f"127.0.0.1:{port}", str(key), *words]
        run = subprocess.run(line, input=stdin, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr

    assert control("echo", "two", "words") == (0, "two words\n")
    assert control("stat", "99") == (1, "stat: no VM 99\n")
    assert control("-", stdin="echo one\nstat 99\necho two\n") == (1, "one\nstat: no VM 99\ntwo\n")
    key.write_text("00" * 32)
    status, text = control("vms")
    assert status == 2 and "is it the right key?" in text


def test_it_is_off_unless_a_key_was_given(lab: Lab) -> None:
    """Without control= nobody listens; with half a key, neither, and a line says so."""
    port = _free_port()
    shell = Shell(lab, control=port)
    with pytest.raises(RemoteError):
        Remote("127.0.0.1", port, KEY, 3.0)
    assert shell.run("echo here") == "here\n"
    shell = Shell(lab, args="control=1234", control=_free_port())
    assert "it stays off" in shell.machine.serial.text()


def test_key_may_be_a_boot_module(lab: Lab) -> None:
    """As conf/run gives it: QEMU's command line is everybody's to read, a file isn't."""
    port = _free_port()
    module = lab.text("key", KEY.hex(), ("data",))
    Shell(lab, modules=(module,), args="control=module:2", control=port)
    with _connect(port) as remote:
        assert remote.command("echo yes").text == "yes\n"


def test_wrong_keys_cost_time_and_are_told_of(lab: Lab) -> None:
    """Who guesses gets nothing, a second later; the console tells, and who knows the key still
    comes through."""
    shell, port = _boot(lab)
    _connect(port).close()
    start = time.monotonic()
    for _ in range(3):
        with pytest.raises(RemoteError, match="closed"):
            Remote("127.0.0.1", port, bytes(32))
    assert time.monotonic() - start > 2.5
    shell.machine.expect("a wrong key from the network, 3 so far")
    with _connect(port) as remote:
        assert remote.command("echo in").text == "in\n"


def test_silent_connections_keep_nobody_out(lab: Lab) -> None:
    """Half-open sessions are few, and the oldest gives way; a session that is proved stays."""
    _, port = _boot(lab)
    with _connect(port) as early:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(12)]
        with _connect(port) as remote:
            assert remote.command("echo late").text == "late\n"
        assert early.command("echo early").text == "early\n"
        for one in silent:
            one.close()


def test_replayed_session_is_refused(lab: Lab) -> None:
    """A whole good session, recorded on the cable and sent again, byte for byte: the server says
    hello and nothing else, and no VM is killed twice."""
    shell, port = _boot(lab)
    _connect(port).close()
    session = Session(KEY)
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        sent = session.answer(one.recv(40, socket.MSG_WAITALL)) + session.seal("kill 1")
        one.sendall(sent)
        session.check_welcome(one.recv(32, socket.MSG_WAITALL))
        assert len(one.recv(37, socket.MSG_WAITALL)) == 37
    shell.wait_for(1, "dead")
    shell.run("start 1")
    shell.wait_for(1, "idle")
    with socket.create_connection(("127.0.0.1", port), 10) as two:
        assert len(two.recv(40, socket.MSG_WAITALL)) == 40
        two.sendall(sent)
        assert two.recv(100) == b""
    assert shell.states()[1] == "idle"


def test_tampered_command_is_not_obeyed(lab: Lab) -> None:
    """One bit of a command that is changed on its way ends the session, before anything is done."""
    shell, port = _boot(lab)
    _connect(port).close()
    session = Session(KEY)
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(session.answer(one.recv(40, socket.MSG_WAITALL)))
        session.check_welcome(one.recv(32, socket.MSG_WAITALL))
        record = bytearray(session.seal("kill 1"))
        record[9] ^= 3  # kill 2
        one.sendall(bytes(record))
        assert one.recv(100) == b""
    assert set(shell.states().values()) == {"idle", "running"}


def test_random_bytes_at_the_port_do_no_harm(lab: Lab) -> None:
    """Anybody on the host can connect: noise, of any length, ends the connection and no more."""
    shell, port = _boot(lab)
    _connect(port).close()
    rng = random.Random(5)
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", port), 10) as noise:
            noise.sendall(rng.randbytes(rng.randrange(64, 3000)))
            noise.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while noise.recv(4096):
                    pass
    with _connect(port) as remote:
        assert remote.command("echo still").text == "still\n"
    assert shell.run("echo here").endswith("here\n")


def test_who_says_nothing_is_sent_away(lab: Lab) -> None:
    """Five seconds to prove that one knows the key, however the bytes come."""
    _, port = _boot(lab)
    _connect(port).close()
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 20) as silent:
        assert len(silent.recv(40, socket.MSG_WAITALL)) == 40
        for _ in range(3):
            silent.sendall(b"x")
            time.sleep(1)
        with contextlib.suppress(ConnectionError):
            assert silent.recv(1) == b""
    assert 4 < time.monotonic() - start < 15
