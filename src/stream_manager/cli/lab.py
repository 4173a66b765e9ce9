"""`stream-manager lab`: the tools that cause trouble on purpose."""

import typer

from stream_manager.cli.lab_camera import camera
from stream_manager.cli.lab_proxy import proxy

lab = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
)
for command in (camera, proxy):
    lab.command()(command)
