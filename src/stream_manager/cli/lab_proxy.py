"""`stream-manager lab proxy`: a network that can be disturbed, in front of a camera."""

from pathlib import Path
from typing import Annotated

import typer


def proxy(
    *,
    listen: Annotated[
        str, typer.Option(metavar="[HOST:]PORT", help="Where viewers connect; 0: a free port.")
    ],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where their connections go.")],
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="Obey that from the start; may be given repeatedly."),
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Make a Unix socket that takes lines as stdin does."),
    ] = None,
) -> None:
    """Carry connections over a network that breaks when told so.

    Lines on stdin begin faults and end them: latency by=200ms, jitter up-to=100ms, rate
    limit=200kbit/s, cut, half-open, slow-close by=5s, loss share=10%; with after=2s, for=3s, or
    both; and heal, or heal and one's name.

    What happens is told on stdout, a line of JSON a fact. Ctrl-C ends it.
    """
    import asyncio

    from stream_manager.lab.network.places import place
    from stream_manager.lab.network.server import serve

    asyncio.run(
        serve(
            listen=place("--listen", listen),
            target=place("--to", to),
            faults=fault or (),
            control=control,
            owned=False,
        )
    )
