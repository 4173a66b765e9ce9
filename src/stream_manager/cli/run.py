"""`stream-manager run`: the manager itself, in the foreground."""

import errno
import faulthandler
import gc
import os
import signal
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stream_manager.cli.typed import command
from stream_manager.errors import OutsideError, UsageError


def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")],
    *,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines.")] = False,
    keep_workers: Annotated[
        bool,
        typer.Option(
            "--keep-workers",
            help="At SIGTERM or Ctrl-C leave the streams running, for the next manager.",
        ),
    ] = False,
) -> None:
    """Run the streams of CONFIG, and go on with those that an earlier run has left.

    SIGTERM or Ctrl-C stops them and ends it, a second one at once; SIGUSR2 ends it alone; SIGHUP
    reads CONFIG again.
    """
    # Its default action would end us half started; serve() takes it when it can end in good order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    faulthandler.enable(2)  # systemd's watchdog sends SIGABRT: then it tells where we were stuck
    gc.disable()  # a sixth of the start (measured) went into looks at what imports leave for good
    import asyncio

    import structlog

    from stream_manager.api import CannotListen
    from stream_manager.cli.logs import set_up_logs
    from stream_manager.config import load, place_of
    from stream_manager.store import AlreadyRunning
    from stream_manager.streams import serve

    gc.freeze()
    gc.enable()
    configuration = load(config, os.environ)
    reload = partial(load, config, os.environ, by_manager=True)
    set_up_logs(as_json=log_json)
    for warning in configuration.warnings:
        structlog.get_logger().warning(str(warning))
    try:
        code = asyncio.run(serve(configuration, reload=reload, keep_workers=keep_workers))
    except AlreadyRunning as error:
        # Another state_dir's manager may have its sockets anywhere: its pid alone leads there.
        same = error.directory == configuration.manager.runtime_dir
        stop = command("shutdown", config) if same else f"kill {error.pid}"
        known = same or error.pid is not None
        raise UsageError(f"{error}; to stop it: {stop}" if known else str(error)) from error
    except CannotListen as error:
        assert configuration.manager.listen is not None
        port = configuration.manager.listen[1]
        mend: dict[int | None, str] = {
            errno.EADDRINUSE: "; name another port"
            f' (who has this one: ss -ltnp "sport = :{port}"), or "" for none',
            errno.EACCES: '; take a port from 1024 on, or "" for none',
        }
        reason = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        raise OutsideError(
            f"{place_of(config, 'manager', 'listen')}: manager.listen: {error}"
            f"{mend.get(reason, '')}"
        ) from error
    raise typer.Exit(code)
