"""`stream-manager lab`: the tools that cause trouble on purpose."""

import typer

from stream_manager.cli.lab_camera import camera

lab = typer.Typer(
    help="Simulated trouble: cameras that fail on order.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
lab.command()(camera)


@lab.callback()
def _lab() -> None:
    pass  # with one command alone typer would drop its name
