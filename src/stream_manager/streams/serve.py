"""The control process from its first lock to its last: what `stream-manager run` does."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import structlog

from stream_manager.api import tcp_socket, unix_socket
from stream_manager.clock import Clock, SystemClock
from stream_manager.config import Configuration, ManagerSettings
from stream_manager.evidence import Keeper
from stream_manager.pipelines.messages import VERSION, Attend
from stream_manager.store import SegmentIndex, Store, lock_directory
from stream_manager.streams.isolated import log_name
from stream_manager.streams.launcher import Launcher
from stream_manager.streams.logs import FORK_SERVER, forget_logs, log_directory
from stream_manager.streams.manager import StreamManager
from stream_manager.streams.reload import Reload, make_volumes
from stream_manager.streams.systemd import Systemd
from stream_manager.streams.threads import in_thread
from stream_manager.version import __version__

# SIGTERM ends everything within five seconds; the API and the store take what is left of it.
STOP_WITHIN_S = 3.5
EVIDENCE_WITHIN_S = 0.5
# After that whoever asks is answered, though a worker of an earlier manager may still hang.
TAKEN_OVER_WITHIN_S = 1.0

log = structlog.get_logger()


async def serve(
    configuration: Configuration,
    *,
    reload: Callable[[], Configuration],
    keep_workers: bool = False,
) -> int:
    """Run the configured streams until a signal or a shutdown command; return 0.

    SIGTERM and SIGINT stop everything, unless it is to `keep_workers`; SIGUSR2 leaves the workers
    to the next manager in any case. A second signal ends everything at once. SIGHUP, or a reload
    command, reads the configuration again: one with errors is refused and changes nothing. Raises
    AlreadyRunning where another manager runs, CannotListen where the address of `listen` can't be
    had, and OutsideError where the API's own socket can't be made.
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
        launcher = _launcher(settings, store, evidence.log_dir, clock)
        stack.push_async_callback(launcher.close)
        for row in store.workers():
            launcher.expect(row.pid)
        await launcher.find()
        manager = StreamManager(
            store=store,
            index=index,
            launcher=launcher,
            clock=clock,
            state_dir=settings.state_dir,
            runtime_dir=settings.runtime_dir,
            evidence=evidence,
            systemd=systemd,
        )
        again = await stack.enter_async_context(
            aclosing(Reload(manager, settings, reload, systemd))
        )
        _listen_to_signals(manager, again, keep_workers=keep_workers)
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
        await _end(manager)
        await _cancel(tasks)
        log.info("stopped")
    return 0


def _launcher(settings: ManagerSettings, store: Store, log_dir: Path, clock: Clock) -> Launcher:
    return Launcher(
        socket_path=settings.runtime_dir / "forkserver.sock",
        registry_path=settings.state_dir / "gstreamer-registry.bin",
        log_path=log_dir / f"{FORK_SERVER}.log",
        name=f"{VERSION} {__version__} {store.instance_id()}",
        attend=Attend(orphan_grace_s=settings.orphan_grace_s),
        clock=clock,
    )


def _evidence(configuration: Configuration, clock: Clock) -> Keeper:
    """Find a place for logs, without those of long ago, and for what is kept of incidents."""
    log_dir = log_directory(configuration.manager)
    specs = [it.spec for it in configuration.streams]
    names = {log_name(it.id, out.id) for it in specs for out in it.outputs if out.isolate}
    forget_logs(log_dir, names.union(it.id for it in specs), clock.wall())
    return Keeper(
        configuration.manager.state_dir,
        log_dir=log_dir,
        on_fault=lambda text: log.warning(text, cause="storage"),
    )


async def _answer(
    manager: StreamManager, reload: Reload, sockets: list[socket.socket], answering: asyncio.Event
) -> None:
    """Run the API on copies of `sockets`, for it closes them: its next run goes on with others.

    Whoever connects between two runs waits for the next. Its library is loaded once all that runs
    is taken over.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(TAKEN_OVER_WITHIN_S):
            await manager.taken_over()
    await in_thread(partial(import_module, "stream_manager.api.app"), "api")
    from stream_manager.api.app import create_app  # noqa: PLC0415 - now it is loaded
    from stream_manager.api.serve import serve as serve_api  # noqa: PLC0415

    copies = [it.dup() for it in sockets]
    try:
        await serve_api(create_app(manager, reload=reload, answering=answering), copies)
    finally:
        for it in copies:
            it.close()


async def _end(manager: StreamManager) -> None:
    """Stop the streams, or leave them to the next manager, which goes on from any moment."""
    if not manager.hands_over and not await manager.stop(STOP_WITHIN_S):
        log.error("some workers did not stop in time", within_s=STOP_WITHIN_S)
    await manager.own_tasks.end()
    if manager.hands_over:
        manager.leave()
        log.info("the workers go on, for the next manager")


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _listen_to_signals(manager: StreamManager, reload: Reload, *, keep_workers: bool) -> None:
    loop = asyncio.get_running_loop()

    def end(*, stay: bool) -> None:
        """Stop at the first signal; at the second, whatever the first one was, end everything."""
        if manager.stopping.is_set():
            log.warning("stopping at once")
            manager.ask_to_quit()
            os._exit(1)
        if stay:
            manager.hand_over()
        else:
            manager.shutdown()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(end, stay=keep_workers))
    # How a service manager asks us to leave: the workers go on for the next manager.
    loop.add_signal_handler(signal.SIGUSR2, partial(end, stay=True))
    loop.add_signal_handler(signal.SIGHUP, reload.by_signal)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})  # blocked since the command began
