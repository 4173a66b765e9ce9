"""What systemd is told, in its own protocol, and that nothing goes wrong where there is none."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from stream_manager.health import HealthState
from stream_manager.streams import views
from stream_manager.streams.systemd import STATUS_EVERY_S, Systemd
from stream_manager.testing import FakeClock

if TYPE_CHECKING:
    from stream_manager.streams.stream import Stream

Said = Callable[[], list[str]]


@pytest.fixture(params=["path", "abstract"])
def notify_socket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Said]]:
    """Be systemd: give the address of a notification socket, and what came there since asked."""
    path = str(tmp_path / "notify")
    address = path if request.param == "path" else f"@stream-manager-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        listener.setblocking(False)

        def said() -> list[str]:
            heard = []
            while True:
                try:
                    heard.append(listener.recv(4096).decode())
                except BlockingIOError:
                    return heard

        yield address, said


def test_each_turn_of_life_is_told_as_one_message(notify_socket: tuple[str, Said]) -> None:
    """READY, RELOADING with the instant that systemd wants, READY again, STOPPING."""
    address, said = notify_socket
    systemd = Systemd(address, None, clock=FakeClock(1000.5))
    systemd.ready()
    with systemd.reloading():
        assert said() == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=1000500000"]
    systemd.stopping()
    assert said() == ["READY=1", "STOPPING=1"]


def test_a_reload_that_breaks_is_over_all_the_same(notify_socket: tuple[str, Said]) -> None:
    """Systemd must not wait for ever for a configuration that could not be read."""
    address, said = notify_socket
    systemd = Systemd(address, None, clock=FakeClock())
    with pytest.raises(ZeroDivisionError), systemd.reloading():
        raise ZeroDivisionError
    assert said()[-1] == "READY=1"


@pytest.mark.parametrize(
    ("watchdog_s", "every_s"), [(10.0, 2.5), (60.0, STATUS_EVERY_S), (None, STATUS_EVERY_S)]
)
def test_signs_of_life_come_four_times_in_the_time_that_systemd_waits(
    notify_socket: tuple[str, Said], watchdog_s: float | None, every_s: float
) -> None:
    """However often the loop comes round, only the due ones are sent, with the status of then."""
    address, said = notify_socket
    clock = FakeClock()
    systemd = Systemd(address, watchdog_s, clock=clock)
    for number in range(4):
        clock.now_s = 1000.0 + number * every_s / 2
        systemd.beat(lambda: f"round {number}")  # noqa: B023 - called at once
    assert said() == ["WATCHDOG=1\nSTATUS=round 0", "WATCHDOG=1\nSTATUS=round 2"]


@pytest.mark.parametrize(
    ("given", "every_s"),
    [
        ({"WATCHDOG_USEC": "8000000"}, 2.0),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, STATUS_EVERY_S),
        ({"WATCHDOG_USEC": "soon"}, STATUS_EVERY_S),
        ({"WATCHDOG_USEC": "0"}, STATUS_EVERY_S),
        ({}, STATUS_EVERY_S),
    ],
)
def test_the_environment_says_who_listens_and_is_cleaned(
    notify_socket: tuple[str, Said], given: dict[str, str], every_s: float
) -> None:
    """A watchdog that is meant for another process is not ours, and no child inherits any of it."""
    address, said = notify_socket
    environ = {"NOTIFY_SOCKET": address, "HOME": "/root", **given}
    clock = FakeClock()
    systemd = Systemd.of(environ, clock=clock)
    assert environ == {"HOME": "/root"}
    systemd.beat(str)
    clock.now_s += every_s - 0.001
    systemd.beat(str)
    assert len(said()) == 1
    clock.now_s += 0.001
    systemd.beat(str)
    assert len(said()) == 1


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens-here"])
def test_without_a_listener_nothing_happens(address: str) -> None:
    """Outside systemd, or with its socket gone, the manager goes on."""
    systemd = Systemd(address, 1.0, clock=FakeClock())
    systemd.ready()
    systemd.beat(str)
    with systemd.reloading():
        pass
    systemd.stopping()


def test_a_listener_that_does_not_read_is_not_waited_for(
    notify_socket: tuple[str, Said],
) -> None:
    """A full socket loses what does not fit; the loop of decisions never blocks on it."""
    address, said = notify_socket
    systemd = Systemd(address, None, clock=FakeClock())
    for _ in range(10_000):
        systemd.ready()
    assert 0 < len(said()) < 10_000


def test_the_status_counts_streams_by_their_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """The healthy ones always, the others where there are any, the worst last but the stopped."""
    health = HealthState
    of = [health.HEALTHY, health.FAILED, None, health.HEALTHY, health.DEGRADED]
    monkeypatch.setattr(views, "stream_health", lambda stream: stream)
    assert views.summary(cast("list[Stream]", of)) == (
        "5 streams, 2 healthy, 1 degraded, 1 failed, 1 stopped"
    )
    assert views.summary(cast("list[Stream]", [health.UNHEALTHY])) == (
        "1 stream, 0 healthy, 1 unhealthy"
    )
    assert views.summary([]) == "0 streams, 0 healthy"
