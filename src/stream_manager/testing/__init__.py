"""What tests of recovery need: `Script` plays events to the core and tells what it did."""

from stream_manager.testing.script import Script

__all__ = ["Script"]
