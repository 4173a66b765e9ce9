"""`stream-manager run`: the manager itself, in the foreground."""

import faulthandler
import os
import signal
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file.")],
    *,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log JSON lines.")] = False,
) -> None:
    """Run the streams of CONFIG.

    SIGTERM, SIGUSR2 or Ctrl-C ends it, a second one at once; SIGHUP reads CONFIG again.
    """
    # Its default action would end us half started; serve() takes it when it can end in good order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    faulthandler.enable(2)  # systemd's watchdog sends SIGABRT: then it tells where we were stuck
    import asyncio

    import structlog

    from stream_manager.cli.logs import set_up_logs
    from stream_manager.config import load
    from stream_manager.streams import serve

    reload = partial(load, config, os.environ)
    configuration = reload()
    set_up_logs(as_json=log_json)
    for warning in configuration.warnings:
        structlog.get_logger().warning(str(warning))
    raise typer.Exit(asyncio.run(serve(configuration, reload=reload)))
