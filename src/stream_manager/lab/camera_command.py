"""The command behind `python -m stream_manager.lab.camera`: options in, one line of JSON out.

Exit status 2 and one line on stderr mean that the options can't be served.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from gi.repository import GLib

from stream_manager.clock import chance
from stream_manager.errors import UsageError
from stream_manager.lab import clips
from stream_manager.lab.picture import Picture
from stream_manager.lab.rtsp_server import Credentials, RtspServer
from stream_manager.lab.schedule import loop, stutter

STDIN = 0


def serve(
    *,
    mounts: tuple[str, ...],
    bind: str = "127.0.0.1",
    port: int = 0,
    clip: Path | None = None,
    picture: Picture | None = None,
    credentials: Credentials | None = None,
    stutter_ms: int = 0,
    after_s: float = 0.0,
) -> None:
    """Serve until stdin hangs up or a signal ends the process.

    Prints one line `{"port": PORT, "urls": {MOUNT: URL}}` when it accepts connections, which is not
    before `after_s` seconds from now. Raises `UsageError` for a clip that can't be read or a port
    that is taken.
    """
    main_loop = GLib.MainLoop()
    GLib.timeout_add(round(after_s * 1000), main_loop.quit)  # counts while the clip is made
    GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, STDIN, GLib.IOCondition.HUP, _leave)
    content = clips.generate(picture or Picture()) if clip is None else clips.read(clip)
    server = RtspServer(
        content,
        lambda: stutter(loop(content), gap_ns=stutter_ms * 1_000_000, chance=chance),
        mounts=mounts,
        credentials=credentials,
    )
    _run(main_loop)
    bound_port = server.listen(bind, port)
    host = f"[{bind}]" if ":" in bind else bind
    urls = {mount: f"rtsp://{host}:{bound_port}/{mount}" for mount in mounts}
    sys.stdout.write(json.dumps({"port": bound_port, "urls": urls}) + "\n")
    sys.stdout.flush()
    _run(GLib.MainLoop())


def _run(main_loop: GLib.MainLoop) -> None:
    main_loop.run()  # type: ignore[no-untyped-call] # PyGObject's override has no annotations


def _leave(_descriptor: int, _condition: GLib.IOCondition) -> bool:
    os._exit(0)  # the owner is gone, and a camera has nothing to finish


def main() -> int:
    """Serve what the command line asks for; return the exit status."""
    options = _parser().parse_args()
    try:
        width, height = options.size
        serve(
            mounts=tuple(options.mount),
            bind=options.bind,
            port=options.port,
            clip=options.clip,
            picture=Picture(width=width, height=height, fps=options.fps, gop=options.gop),
            credentials=_credentials(options),
            stutter_ms=options.stutter_ms,
            after_s=options.after_s,
        )
    except UsageError as error:
        sys.stderr.write(f"camera: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="camera", description="A simulated RTSP camera.")
    parser.add_argument("--mount", action="append", required=True, help="may be given repeatedly")
    parser.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="default: a generated picture")
    parser.add_argument("--size", type=_size, default=(640, 360), metavar="WIDTHxHEIGHT")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--gop", type=int, default=10, help="pictures between keyframes")
    parser.add_argument("--user")
    parser.add_argument("--password-env", metavar="NAME", help="variable that holds the password")
    parser.add_argument("--auth", choices=["basic", "digest"], default="digest")
    parser.add_argument("--stutter-ms", type=int, default=0, help="longest gap between pictures")
    parser.add_argument("--after-s", type=float, default=0.0, help="come up after that long")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def _credentials(options: argparse.Namespace) -> Credentials | None:
    user, variable = options.user, options.password_env
    if user is None and variable is None:
        return None
    if user is None or variable is None:
        raise UsageError("--user and --password-env belong together: give both or neither")
    password = os.environ.get(variable)
    if password is None:
        raise UsageError(f"--password-env {variable}: there is no such environment variable")
    return Credentials(user=user, password=password, method=options.auth)
