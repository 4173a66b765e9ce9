"""What becomes of a configuration that is read again."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs
from tests.unit.streams.simulated import settings_of

from stream_manager.config import (
    Configuration,
    ConfigurationError,
    ConfigurationErrors,
    ManagerSettings,
    Volume,
)
from stream_manager.errors import UsageError
from stream_manager.streams.manager import Changes, StreamManager
from stream_manager.streams.reload import Reload
from stream_manager.streams.systemd import Systemd
from stream_manager.testing import FakeClock

MANAGER = ManagerSettings(state_dir=Path("/s"), runtime_dir=Path("/r"), listen=None)
MISTAKE = ConfigurationError(line=3, file="c.toml", key="x", found="a", expected="b")


class Manager:
    """A manager with one stream, that notes what it was configured with."""

    def __init__(self) -> None:
        self.stopping = FakeEvent()
        self.given: list[Configuration] = []

    def stream_ids(self) -> tuple[str, ...]:
        """Have one."""
        return ("cam",)

    def configure(self, configuration: Configuration) -> Changes:
        """Take it."""
        self.given.append(configuration)
        return Changes(changed=("cam",))


class FakeEvent:
    """Whether the manager is stopping."""

    def __init__(self) -> None:
        self.set = False

    def is_set(self) -> bool:
        """Tell it."""
        return self.set


def configuration(*, streams: bool = True, **manager: object) -> Configuration:
    """Return one with a stream, or without, and a warning."""
    settings = {"state_dir": MANAGER.state_dir, "runtime_dir": MANAGER.runtime_dir, "listen": None}
    return Configuration(
        manager=ManagerSettings(**{**settings, **manager}),  # type: ignore[arg-type]
        streams=(settings_of(),) if streams else (),
        volumes=(Volume(id="main", path=Path("/proc/nowhere")),),
        warnings=(MISTAKE,),
    )


def reload_of(manager: Manager, read: Callable[[], Configuration]) -> Reload:
    """Return what reads for this manager."""
    systemd = Systemd("", None, clock=FakeClock())
    return Reload(cast("StreamManager", manager), MANAGER, read, systemd)


async def signalled(reload: Reload) -> None:
    """Reload as SIGHUP has it, and wait for the end."""
    before = asyncio.all_tasks()
    reload.by_signal()
    await asyncio.gather(*(asyncio.all_tasks() - before))


def test_what_changed_is_told_with_what_one_should_know() -> None:
    """Warnings, and that [manager] waits for the next start; a missing disk stops nothing."""
    manager = Manager()
    told = asyncio.run(reload_of(manager, lambda: configuration(listen=("127.0.0.1", 1)))())
    assert told["changed"] == ("cam",)
    assert told["warnings"] == [
        "c.toml:3: x: found a, expected b",
        "what stands under [manager] changes at the next start only",
    ]
    assert asyncio.run(reload_of(manager, configuration)())["warnings"] == [
        "c.toml:3: x: found a, expected b"
    ]
    assert len(manager.given) == 2


def test_what_is_refused_changes_nothing_whoever_asked() -> None:
    """A command hears the reason; after a signal the log has it."""
    manager = Manager()

    def wrong() -> Configuration:
        raise ConfigurationErrors((MISTAKE,))

    for read, words in (
        (wrong, "c.toml:3: x: found a"),
        (lambda: configuration(streams=False), "a configuration without streams is refused"),
    ):
        reload = reload_of(manager, read)
        with pytest.raises(UsageError, match=words):
            asyncio.run(reload())
        with capture_logs() as lines:
            asyncio.run(signalled(reload))
        assert lines[-1]["event"] == "the configuration is refused, nothing changed"
        assert words in lines[-1]["errors"]
    assert manager.given == []


def test_a_manager_that_is_stopping_takes_no_configuration() -> None:
    """Nothing would come of it, so nothing is promised."""
    manager = Manager()
    manager.stopping.set = True
    with pytest.raises(UsageError, match="the manager is stopping"):
        asyncio.run(reload_of(manager, configuration)())
    assert manager.given == []


class Slow:
    """A reader whose disk hangs until it is let go; it counts who is inside."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.entered: list[int] = []
        self._inside = 0

    def __call__(self) -> Configuration:
        """Read."""
        self._inside += 1
        self.entered.append(self._inside)
        self.go.wait(30)
        self._inside -= 1
        return configuration()

    async def entered_by(self, number: int) -> None:
        """Wait, while the loop goes on, until so many have begun to read."""
        while len(self.entered) < number:  # noqa: ASYNC110 - a thread has no asyncio.Event
            await asyncio.sleep(0.001)


def test_a_disk_that_hangs_holds_up_nothing_but_the_reload() -> None:
    """The loop goes on meanwhile, and a second reload waits for the first."""
    manager, slow = Manager(), Slow()

    async def script() -> None:
        reload = reload_of(manager, slow)
        first, second = (asyncio.create_task(reload()) for _ in range(2))
        await slow.entered_by(1)
        slow.go.set()
        await asyncio.gather(first, second)

    asyncio.run(script())
    assert slow.entered == [1, 1]
    assert len(manager.given) == 2


def test_what_was_read_when_the_manager_began_to_stop_is_left() -> None:
    """It has no streams to change any more."""
    manager, slow = Manager(), Slow()

    async def script() -> None:
        reading = asyncio.create_task(reload_of(manager, slow)())
        await slow.entered_by(1)
        manager.stopping.set = True
        slow.go.set()
        with pytest.raises(UsageError, match="the manager is stopping"):
            await reading

    asyncio.run(script())
    assert manager.given == []


def test_a_reading_that_never_ends_does_not_keep_the_manager_from_ending() -> None:
    """What a signal began is left behind with its thread."""
    manager, slow = Manager(), Slow()

    async def script() -> None:
        reload = reload_of(manager, slow)
        reload.by_signal()
        await slow.entered_by(1)
        await reload.aclose()

    asyncio.run(script())
    assert manager.given == []
    slow.go.set()
