"""What integration tests share."""

from collections.abc import Iterator

import pytest

from stream_manager.lab.camera import Camera


@pytest.fixture
def camera() -> Iterator[Camera]:
    """Give a running camera that sends the numbered picture and a tone under the mount "cam"."""
    with Camera("cam") as running:
        yield running
