"""The control process from its first lock to its last: what `stream-manager run` does."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import Any

import structlog

from stream_manager.api import create_app, tcp_socket, unix_socket
from stream_manager.api import serve as serve_api
from stream_manager.clock import Clock, SystemClock
from stream_manager.config import Configuration
from stream_manager.evidence import Keeper
from stream_manager.store import SegmentIndex, Store, lock_directory
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.logs import FORK_SERVER, forget_logs, log_directory
from stream_manager.streams.manager import StreamManager
from stream_manager.streams.processes import end_leftover, leftovers
from stream_manager.streams.reload import Reload, make_volumes
from stream_manager.streams.systemd import Systemd

# SIGTERM ends everything within five seconds; the API and the store take what is left of it.
STOP_WITHIN_S = 3.5
EVIDENCE_WITHIN_S = 0.5

log = structlog.get_logger()


async def serve(configuration: Configuration, *, reload: Callable[[], Configuration]) -> int:
    """Run the configured streams until SIGTERM, SIGINT, SIGUSR2 or a shutdown command; return 0.

    A second signal ends everything at once. SIGHUP, or a reload command, reads the configuration
    again: one with errors is refused and changes nothing. Raises AlreadyRunning where another
    manager runs, CannotListen where the address of `listen` can't be had, and OutsideError where
    the API's own socket can't be made.
    """
    clock = SystemClock()
    loop = asyncio.get_running_loop()
    systemd = Systemd.of(os.environ, clock=clock)
    settings = configuration.manager
    async with AsyncExitStack() as stack:
        # Taken first and so given back last: when it is free, the next manager can start.
        runtime = lock_directory(settings.runtime_dir)
        stack.callback(runtime.release)
        store = Store.open(
            settings.state_dir,
            clock=clock,
            on_fault=lambda text: log.warning(text, cause="storage"),
        )
        stack.callback(store.close)

        def on_lost_index() -> None:
            loop.call_soon_threadsafe(manager.index_lost)

        index = SegmentIndex.open(
            settings.state_dir,
            clock=clock,
            on_fault=lambda text: log.warning(text, cause="storage"),
            on_fresh=on_lost_index,
        )
        stack.callback(index.close)
        sockets = [unix_socket(runtime)]
        stack.callback((settings.runtime_dir / "api.sock").unlink, missing_ok=True)
        if settings.listen is not None:
            sockets.append(tcp_socket(*settings.listen))
        for it in sockets:
            stack.callback(it.close)  # an API that never began has not closed them
        evidence = _evidence(configuration, clock)
        stack.callback(evidence.close, EVIDENCE_WITHIN_S)
        launcher = Launcher(
            socket_path=settings.runtime_dir / "forkserver.sock",
            registry_path=settings.state_dir / "gstreamer-registry.bin",
            log_path=evidence.log_dir / f"{FORK_SERVER}.log",
            clock=clock,
        )
        stack.push_async_callback(launcher.close)
        manager = StreamManager(
            store=store,
            index=index,
            launcher=launcher,
            clock=clock,
            state_dir=settings.state_dir,
            runtime_dir=settings.runtime_dir,
            evidence=evidence,
            systemd=systemd,
            leftovers=_end_leftovers(store, clock),
        )
        again = await stack.enter_async_context(
            aclosing(Reload(manager, settings, reload, systemd))
        )
        _listen_to_signals(manager, again)
        for stale in settings.runtime_dir.glob("w-*.sock"):
            stale.unlink(missing_ok=True)
        make_volumes(configuration.volumes)
        running = asyncio.create_task(manager.run(), name="manager")
        answering = asyncio.Event()
        manager.own_tasks.add("api", partial(_answer, manager, again, sockets, answering))
        manager.configure(configuration)
        log.info(
            "started",
            streams=len(configuration.streams),
            state_dir=str(settings.state_dir),
            runtime_dir=str(settings.runtime_dir),
        )
        api = asyncio.create_task(answering.wait(), name="answering")
        no_api = asyncio.create_task(manager.own_tasks.trouble("api"), name="no API")
        stopping = asyncio.create_task(manager.stopping.wait(), name="stopping")
        tasks = (running, api, no_api, stopping)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if api.done() or no_api.done():
            systemd.ready()  # without an API too: systemd would end streams that go on
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()  # the loop of decisions broke: a bug, to be seen whole
        log.info("stopping")
        systemd.stopping()
        if not await manager.stop(STOP_WITHIN_S):
            log.error("some workers did not stop in time", within_s=STOP_WITHIN_S)
        await manager.own_tasks.end()
        await _cancel(tasks)
        log.info("stopped")
    return 0


def _evidence(configuration: Configuration, clock: Clock) -> Keeper:
    """Find a place for logs, without those of long ago, and for what is kept of incidents."""
    log_dir = log_directory(configuration.manager)
    forget_logs(log_dir, {it.spec.id for it in configuration.streams}, clock.wall())
    return Keeper(
        configuration.manager.state_dir,
        log_dir=log_dir,
        on_fault=lambda text: log.warning(text, cause="storage"),
    )


async def _answer(
    manager: StreamManager, reload: Reload, sockets: list[socket.socket], answering: asyncio.Event
) -> None:
    """Run the API on copies of `sockets`, for it closes them: its next run goes on with others.

    Whoever connects between two runs waits for the next.
    """
    copies = [it.dup() for it in sockets]
    try:
        await serve_api(create_app(manager, reload=reload, answering=answering), copies)
    finally:
        for it in copies:
            it.close()


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _end_leftovers(store: Store, clock: Clock) -> dict[str, asyncio.Task[None]]:
    """Begin to end the workers of an earlier manager; the tasks by stream."""
    tasks = {}
    for row in leftovers(store):
        log.warning("ending a worker that an earlier manager left", stream=row.stream, pid=row.pid)
        tasks[row.stream] = asyncio.create_task(end_leftover(row, store, clock))
    return tasks


def _listen_to_signals(manager: StreamManager, reload: Reload) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if manager.stopping.is_set():
            log.warning("stopping at once")
            os._exit(1)  # the workers see their manager gone and finish their files
        manager.shutdown()

    # SIGUSR2 is how a service manager asks us to leave: the workers will then go on for the next
    # manager. Until a manager can adopt them they end too, in the same order.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload.by_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})  # blocked since the command began
