"""Commands and reloads in the same breath: one process a stream, and an end that is the end."""

import signal
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from tests.integration.service import Service, table

pytestmark = pytest.mark.media
MakeService = Callable[..., Service]


def test_a_storm_of_commands_leaves_one_process_a_stream(service: MakeService) -> None:
    """However start, stop, restart and reset come together, no worker is lost sight of."""
    running = service(table("a", "test:"), table("b", "test:")).start()
    running.wait_healthy("a", "b")
    for _ in range(15):
        for verb in ("stop", "restart", "reset", "stop", "start", "restart"):
            running.command("a", verb)
    running.wait_healthy("a", "b")
    running.wait("one process each", lambda: sorted(running.workers().values()) == ["a", "b"])
    assert running.stream("a")["pid"] in running.workers()
    assert running.stream("b")["epoch"] == 1


def test_a_stream_that_leaves_can_not_be_called_back(service: MakeService) -> None:
    """A command that meets a reload is refused, and the new configuration holds."""
    running = service(table("stays", "test:"), table("leaves", "test:")).start()
    running.wait_healthy("stays", "leaves")
    running.configure(table("stays", "test:"))
    running.signal(signal.SIGHUP)
    for _ in range(50):
        with suppress(httpx.HTTPStatusError):  # refused, or gone already
            running.command("leaves", "start")
    running.wait(
        "the new set", lambda: [it["id"] for it in running.status()["streams"]] == ["stays"]
    )
    running.wait("one process", lambda: list(running.workers().values()) == ["stays"])


def test_a_configuration_without_streams_stops_none(service: MakeService) -> None:
    """A file that is empty while an editor writes it must not end every recording."""
    running = service(table("cam", "test:")).start()
    running.wait_healthy("cam")
    pid = running.stream("cam")["pid"]
    running.config.write_text("")
    running.signal(signal.SIGHUP)
    running.wait("the refusal", lambda: running.logged(level="error"))
    assert running.stream("cam")["pid"] == pid


def test_nothing_starts_once_the_manager_stops(service: MakeService) -> None:
    """A reload after SIGTERM brings no stream."""
    running = service(table("cam", "test:")).start()
    running.wait_healthy("cam")
    running.configure(table("cam", "test:"), table("late", "test:"))
    running.signal(signal.SIGTERM)
    # Of two signals that wait the lower number comes first, so the first must have arrived.
    running.wait("the stop to begin", lambda: running.logged(event="stopping"))
    running.signal(signal.SIGHUP)
    # A reload that comes after the last of the loop finds nobody to handle it: that is an end too.
    assert running.process.wait(10.0) in {0, -signal.SIGHUP}
    assert not running.logged(stream="late")
