"""The command line. Read app (the commands), client (how they reach the manager), then each."""

from stream_manager.cli.app import main

__all__ = ["main"]
