"""`stream-manager lab proxy`: a network that can be disturbed, in front of a camera."""

from typing import Annotated

import typer

from stream_manager.cli.lab_console import ControlOption, FaultOption, list_faults, run, show_faults


def _show_faults(*, wanted: bool) -> None:
    if wanted:
        from stream_manager.lab.network.faults import NETWORK_FAULTS

        show_faults(NETWORK_FAULTS)


def proxy(
    *,
    listen: Annotated[
        str, typer.Option(metavar="[HOST:]PORT", help="Where viewers connect; 0: a free port.")
    ],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where their connections go.")],
    fault: FaultOption = None,
    control: ControlOption = None,
    _faults: Annotated[bool, list_faults(_show_faults)] = False,
) -> None:
    """Run a simulated network that has faults on order.

    ORDER is NAME [key=value …] [after=DURATION] [for=DURATION]. More orders are taken as lines on
    stdin; "heal" ends all faults, "heal NAME" one. What happens is told on stdout, a line of JSON
    each. SIGINT or SIGTERM ends it.
    """
    from stream_manager.lab.network.places import place
    from stream_manager.lab.proxy import Proxy

    host, port = place("--listen", listen)
    run(
        lambda tell: Proxy(to=to, bind=host, port=port, faults=fault or (), on_fact=tell),
        control,
    )
