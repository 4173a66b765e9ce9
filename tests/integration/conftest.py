"""What integration tests share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.integration.service import Service

from stream_manager.lab.camera import Camera


@pytest.fixture
def camera() -> Iterator[Camera]:
    """Give a running camera that sends the numbered picture and a tone under the mount "cam"."""
    with Camera("cam") as running:
        yield running


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Make managers that do not run yet, as Service() does, each in a folder of its own."""
    with ExitStack() as stack:

        def make(*streams: str, **options: str) -> Service:
            made = Service(tmp_path_factory.mktemp("svc"), *streams, **options)
            stack.callback(made.close)
            return made

        yield make
