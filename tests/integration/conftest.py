"""What integration tests share."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of two megabytes and few files; skip where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=9,mode=700", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root and its permission")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
