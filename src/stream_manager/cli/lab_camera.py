"""`stream-manager lab camera`: a simulated RTSP camera that has every fault on order."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_manager.cli.lab_console import ControlOption, FaultOption, list_faults, run, show_faults
from stream_manager.errors import UsageError

if TYPE_CHECKING:
    from stream_manager.lab.picture import Picture


def _show_faults(*, wanted: bool) -> None:
    if wanted:
        from stream_manager.lab.camera_faults import CAMERA_FAULTS

        show_faults(CAMERA_FAULTS)


def camera(  # noqa: PLR0913 - each is an option of the command
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    bind: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    mount: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="May be repeated. [default: cam]")
    ] = None,
    clip: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What it sends: H.264, H.265 or MJPEG, sound or not."),
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the generated picture.")] = "640x360",
    fps: Annotated[int, typer.Option(help="Of the generated picture.")] = 25,
    gop: Annotated[int, typer.Option(help="Pictures from one keyframe to the next.")] = 10,
    user: Annotated[str | None, typer.Option(help="Who is let in.")] = None,
    password_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variable that holds the password.")
    ] = None,
    auth: Annotated[str, typer.Option(metavar="basic|digest", help="How it asks.")] = "digest",
    fault: FaultOption = None,
    control: ControlOption = None,
    _faults: Annotated[bool, list_faults(_show_faults)] = False,
) -> None:
    """Run a simulated RTSP camera that has faults on order.

    ORDER is NAME [key=value …] [after=DURATION] [for=DURATION]. More orders are taken as lines on
    stdin; "heal" ends all faults, "heal NAME" one. What happens is told on stdout, a line of JSON
    each. SIGINT or SIGTERM ends it.
    """
    from stream_manager.lab.camera import Camera
    from stream_manager.lab.camera_plan import auth_of

    run(
        lambda tell: Camera(
            *(mount or ("cam",)),
            clip=clip,
            picture=_picture(size, fps, gop),
            user=user,
            password=_password(user, password_env),
            auth=auth_of(auth),
            bind=bind,
            port=port,
            faults=fault or (),
            on_fact=tell,
        ),
        control,
    )


def _picture(size: str, fps: int, gop: int) -> "Picture":
    from stream_manager.lab.picture import Picture

    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size, re.ASCII)
    if found is None:
        raise UsageError(f"--size {size}: expected WIDTHxHEIGHT, like 1280x720")
    return Picture(width=int(found[1]), height=int(found[2]), fps=fps, gop=gop)


def _password(user: str | None, variable: str | None) -> str | None:
    if (user is None) is not (variable is None):
        raise UsageError("--user and --password-env belong together: give both or neither")
    if variable is None:
        return None
    password = os.environ.get(variable)
    if password is None:
        raise UsageError(f"--password-env {variable}: there is no such environment variable")
    return password
