# SPDX-License-Identifier: MIT
"""Inside gdb: a recorded run, forwards and backwards. `make replay` sources it after denali.py.

    denali when                     where this is, in instructions since the start
    denali moment                   go to where the test was over: its assertion looks at this
    denali back                     reverse-continue: back to the last breakpoint or watchpoint
    denali back-step                reverse-step: back one line
    denali overwrote EXPR VALUE     back to the write that replaced VALUE in EXPR, a word in memory

gdb's own reverse commands work too; but QEMU 7.2 hangs now and then when it goes backwards. These
give it some seconds, then start the replay anew, go to the same instruction and try again; and then
find the way from the start, which takes longer but never hangs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import gdb  # type: ignore[import]

from conf.gdb import guest
from grade.graded.player import Player
from grade.harness.elf import Elf
from grade.harness.verdict import Infrastructure

SECONDS = float(os.environ.get("DENALI_REVERSE_SECONDS", "5"))
TRIES = 2
STOPS = 2000  # on one way from the start
ENDS = ("panic", "panic_trap", "panic_at", "fatal", "machine_exit")  # of a kernel


class Hung(Exception):
    """QEMU didn't come back from going backwards."""


class Session:
    """The replayed machine, and where in its run gdb is."""

    def __init__(self, player: Player, reverse: bool) -> None:
        self.player = player
        self.reverse = reverse

    def connect(self, count: int) -> None:
        """Start the replay anew, at the instruction `count`."""
        disconnect()
        self.player.start()
        self.player.seek(count)
        with quiet():
            gdb.execute(f"target remote {self.player.gdb}", to_string=True)

    def end(self) -> None:
        """gdb ends."""
        disconnect()
        self.player.close()

    def count(self) -> int:
        """Instructions since the start."""
        text = gdb.execute("monitor info replay", to_string=True)
        return int(text.rpartition("=")[2].strip().rstrip("."))

    def moment(self) -> None:
        """Go to where the test was over. Of a machine that had ended, that is where it panicked, or
        left."""
        if not self.reverse:
            raise gdb.GdbError("without a recording there is no moment to go to: REVERSE=no")
        if self.player.moment is not None:
            # Its last event is the one that ended the recording: stop before that.
            self.connect(self.player.moment - 1)
            return
        self.connect(0)
        kind = gdb.BP_HARDWARE_BREAKPOINT
        stops = [gdb.Breakpoint(name, kind, internal=True) for name in ENDS if known(name)]
        try:
            with quiet():
                gdb.execute("continue", to_string=True)
        except gdb.error:
            pass
        finally:
            for stop in stops:
                if stop.is_valid():
                    stop.delete()
        if not gdb.selected_inferior().threads():
            self.connect(0)
            raise gdb.GdbError("the machine was reset, without a panic: this is its start")

    def backwards(self, command: str) -> None:
        """Carry out one reverse command of gdb's. A QEMU that hangs is replaced; if it hangs again,
        Hung is raised, and the replay is where it was."""
        self._needs_recording()
        at = self.count()
        for _ in range(TRIES):
            try:
                self._limited(command)
                return
            except gdb.error:
                if not self.player_was_killed:
                    raise
                print(f"(QEMU hung on its way back: again from instruction {at})")
                self.connect(at)
        raise Hung(f"QEMU hung {TRIES} times; the replay is at instruction {at} again")

    def stops(self, value: Callable[[], int]) -> list[tuple[int, int]]:
        """Run from the start up to here, through all breakpoints and watchpoints: where each of them
        stopped it (instructions since the start), and what `value` was there."""
        self._needs_recording()
        here = self.count()
        found: list[tuple[int, int]] = []
        self.connect(0)
        gdb.execute(f"monitor replay_break {here}", to_string=True)
        for _ in range(STOPS):
            with quiet():
                gdb.execute("continue", to_string=True)
            at = self.count()
            if at >= here:
                return found
            found.append((at, value()))
        raise gdb.GdbError(f"there are more than {STOPS} stops on the way here")

    def _needs_recording(self) -> None:
        if not self.reverse:
            raise gdb.GdbError("this run isn't a recording: it goes forward only (REVERSE=no)")

    player_was_killed = False

    def _limited(self, command: str) -> None:
        self.player_was_killed = False

        def kill() -> None:
            self.player_was_killed = True
            self.player.kill()

        timer = threading.Timer(SECONDS, kill)
        timer.start()
        try:
            gdb.execute(command)
        finally:
            timer.cancel()


@contextmanager
def quiet() -> Iterator[None]:
    """What gdb says of stops inside goes nowhere. No setting of its own keeps it from saying it."""
    gdb.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        gdb.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def disconnect() -> None:
    """Let go of the machine, should there be one; it may be dead."""
    with suppress(gdb.error):
        gdb.execute("disconnect", to_string=True)


def known(function: str) -> bool:
    """Whether gdb has symbols of that function, in C or assembly."""
    try:
        return bool(gdb.decode_line(function)[1])
    except gdb.error:
        return False


def guest_with(function: str) -> str:
    """A guest of the replayed machine that has that function, or ""."""
    has = (name for name, path in guest.running().items() if function in Elf(path).symbols)
    return next(has, "")


def back(session: Session) -> None:
    """Back to the last stop: QEMU's way, or, should it hang, from the start."""
    if not any(stop.enabled for stop in gdb.breakpoints()):
        raise gdb.GdbError("nothing would stop it before the start: set a breakpoint or watchpoint first")
    try:
        session.backwards("reverse-continue")
    except Hung:
        stops = session.stops(lambda: 0)
        if not stops:
            raise gdb.GdbError("no breakpoint or watchpoint stops it before here") from None
        session.connect(stops[-1][0])
        gdb.execute("frame")


def back_step(session: Session) -> None:
    """Back to the line before: QEMU's way, or, should it hang, instruction by instruction."""
    try:
        session.backwards("reverse-step")
    except Hung:
        line = gdb.selected_frame().find_sal().line
        while gdb.selected_frame().find_sal().line == line:
            session.connect(session.count() - 1)
        gdb.execute("frame")


def overwrote(session: Session, expression: str, value: int) -> None:
    """Go to the last write that replaced `value`. All forwards: the place is watched from the start
    up to here."""
    address = int(gdb.parse_and_eval(f"(unsigned int)&({expression})"))
    place = f"*(unsigned int *){address:#x}"
    gdb.execute(f"watch -location {place}", to_string=True)
    watch = gdb.breakpoints()[-1]
    here = session.count()
    try:
        writes = session.stops(lambda: int(gdb.parse_and_eval(place)))
    finally:
        watch.delete()
    held = [number for number, (_, seen) in enumerate(writes) if seen == value]
    if not held or held[-1] + 1 == len(writes):
        session.connect(here)
        when = "still holds" if held else "never held"
        raise gdb.GdbError(f"{expression} {when} {value:#x}")
    session.connect(writes[held[-1] + 1][0])
    print(f"{expression} held {value:#x} up to here, instruction {session.count()}:")
    gdb.execute("backtrace")


class Command(gdb.Command):  # type: ignore[misc]
    """One command of the module's docstring."""

    def __init__(self, name: str, about: str, do: Callable[[str], None]) -> None:
        self.__doc__ = about
        super().__init__(f"denali {name}", gdb.COMMAND_RUNNING)
        self._do = do

    def invoke(self, argument: str, from_tty: bool) -> None:
        """Do it; what the machine can't do is said in a sentence."""
        try:
            self._do(argument)
        except (Infrastructure, gdb.error) as error:
            raise gdb.GdbError(str(error)) from None


def register_all(session: Session) -> None:
    """Make the commands known to gdb."""

    def moment(_: str) -> None:
        session.moment()
        gdb.execute("frame")

    def replaced(argument: str) -> None:
        expression, _, value = argument.strip().rpartition(" ")
        if not expression:
            raise gdb.GdbError("denali overwrote EXPR VALUE, as in *(unsigned *)0x40200000 7")
        overwrote(session, expression, int(gdb.parse_and_eval(value)) & 0xFFFFFFFF)

    Command("when", "where this is: instructions since the start", lambda _: print(session.count()))
    Command("moment", "go to where the test was over", moment)
    Command("back", "reverse-continue, with a time-out and another try", lambda _: back(session))
    Command("back-step", "reverse-step, with a time-out and another try", lambda _: back_step(session))
    Command("overwrote", "EXPR VALUE: back to the write that replaced VALUE in EXPR", replaced)


def begin(session: Session) -> None:
    """Start the replay and go to the moment; or, without one, to the kernel's first line of C."""
    function = os.environ.get("DENALI_BREAK", "")
    if session.reverse:
        try:
            session.moment()
        except gdb.GdbError as error:
            print(f"{error}. `break {function or 'FUNCTION'}`, then `continue`, and step from there.")
            return
        gdb.execute("backtrace")
        print(f"This is where the test was over: instruction {session.count()}.")
    else:
        session.connect(0)
        gdb.execute("thbreak main", to_string=True)
        gdb.execute("continue", to_string=True)
    if function and not known(function) and (name := guest_with(function)):
        gdb.execute(f"guest {name}")
    if function and known(function):
        print(f"The search may begin at `break {function}`, then `denali back`.")


def load() -> None:
    """What sourcing this file does."""
    reverse = os.environ.get("DENALI_REVERSE", "yes") != "no"
    try:
        session = Session(Player(Path(os.environ["DENALI_REPLAY"]), reverse), reverse)
        gdb.events.gdb_exiting.connect(lambda _event: session.end())
        register_all(session)
        begin(session)
    except (Infrastructure, gdb.error, gdb.GdbError) as error:
        print(f"make replay: {error}")


load()
