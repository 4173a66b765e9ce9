"""`stream-manager lab`: what stands in for cameras and networks, and breaks on demand."""

import typer

from stream_manager.cli.lab_proxy import proxy

lab = typer.Typer(help="Simulated cameras and networks.", no_args_is_help=True)
for command in (proxy,):
    lab.command()(command)
