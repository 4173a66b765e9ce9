"""Reading the configuration again: by SIGHUP or by an operator's command, all of it or nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, TypeVar

import structlog

from stream_manager.config import Configuration, ManagerSettings, Volume
from stream_manager.errors import UsageError
from stream_manager.streams.manager import StreamManager
from stream_manager.streams.systemd import Systemd
from stream_manager.streams.threads import in_thread

T = TypeVar("T")

log = structlog.get_logger()


class Reload:
    """Gives the manager what its configuration says now.

    settings: what `[manager]` said at the start; it holds until the next one.
    read: reads and judges the file again, with the environment that the process was started with.
    """

    def __init__(
        self,
        manager: StreamManager,
        settings: ManagerSettings,
        read: Callable[[], Configuration],
        systemd: Systemd,
    ) -> None:
        self._manager = manager
        self._settings = settings
        self._read = read
        self._systemd = systemd
        self._one_by_one = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def by_signal(self) -> None:
        """Begin to reload for somebody who hears no answer; the log tells it."""
        task = asyncio.get_running_loop().create_task(self._logged(), name="reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Leave what a signal began; a disk that hangs may keep its thread."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _logged(self) -> None:
        try:
            await self()
        except UsageError as error:
            log.error(  # noqa: TRY400 - the user's mistake, not ours: its lines say all
                "the configuration is refused, nothing changed", errors=str(error)
            )
        except Exception:
            log.exception("the configuration could not be read again, nothing changed")

    async def __call__(self) -> dict[str, Any]:
        """Reload; return what api.models.Reloaded describes.

        Raises UsageError where nothing was changed: ConfigurationErrors for a file with errors.
        """
        self._refuse_at_the_end()
        async with self._one_by_one:
            self._refuse_at_the_end()
            with self._systemd.reloading():
                return await self._take()

    def _refuse_at_the_end(self) -> None:
        if self._manager.stopping.is_set():
            raise UsageError("the manager is stopping: it takes no more commands")

    async def _take(self) -> dict[str, Any]:
        # Both look at files and volumes: a disk that hangs must not hold up the streams.
        configuration = await in_thread(self._read, "reload")
        self._refuse_at_the_end()
        if not configuration.streams and self._manager.stream_ids():
            raise UsageError(
                "a configuration without streams is refused; to end them all:"
                " stream-manager shutdown"
            )
        warnings = [str(warning) for warning in configuration.warnings]
        if configuration.manager != self._settings:
            warnings.append("what stands under [manager] changes at the next start only")
        for warning in warnings:
            log.warning(warning)
        await in_thread(partial(make_volumes, configuration.volumes), "reload")
        self._refuse_at_the_end()
        changes = self._manager.configure(configuration)
        log.info("configuration read again", streams=len(configuration.streams))
        return {**asdict(changes), "warnings": warnings}


def make_volumes(volumes: tuple[Volume, ...]) -> None:
    """Make the volumes' directories that are missing; one that can't be made is told."""
    for volume in volumes:
        try:
            volume.path.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            # The recorders will say so too, and go on trying; the streams themselves run.
            log.error(  # noqa: TRY400 - the disk's trouble: its name says all
                "a volume can't be made", volume=volume.id, error=str(error)
            )
