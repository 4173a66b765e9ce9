"""The process that a handle owns: `python -m stream_manager.lab.network --listen … --to …`."""

import argparse
import asyncio
import sys

from stream_manager.errors import UsageError
from stream_manager.lab.network.places import place
from stream_manager.lab.network.server import serve


def main() -> int:
    """Be a network; return the exit status."""
    parser = argparse.ArgumentParser(prog="proxy")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--to", required=True)
    options = parser.parse_args()
    try:
        listen, target = place("--listen", options.listen), place("--to", options.to)
        asyncio.run(serve(listen=listen, target=target))
    except UsageError as error:
        sys.stderr.write(f"proxy: {error}\n")
        return 2
    return 0


sys.exit(main())
