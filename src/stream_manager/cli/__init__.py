"""The command line. Read app (the commands), client (how they reach the manager), then each."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the arguments name; a base installation has the library alone."""
    try:
        from stream_manager.cli.app import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("stream_manager"):
            raise  # a bug of ours
        sys.exit(
            f"stream-manager: {error.name} is not installed: this is the library alone.\n"
            "The commands come with: pip install 'stream-manager[all]'"
        )
    run()
