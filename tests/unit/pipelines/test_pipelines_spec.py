"""Orders and specifications can be printed: no secret shows."""

import msgspec
import pytest

from stream_manager.pipelines.messages import Spawn, StartSource
from stream_manager.pipelines.spec import (
    FileSource,
    PipelineSource,
    RtspSource,
    Source,
    StreamSpec,
)

SECRET = "p@ss word"
CAMERA = RtspSource(url=f"rtsp://host/?token={SECRET}", user=SECRET, password=SECRET)
SOURCES: list[Source] = [
    CAMERA,
    PipelineSource(description=f"souphttpsrc user-pw={SECRET}"),
    FileSource(path=f"/media/{SECRET}"),
]


@pytest.mark.parametrize(
    "value",
    [
        *SOURCES,
        *[StartSource(epoch=3, source=source) for source in SOURCES],
        *[StreamSpec(id="cam", source=source, secrets=(SECRET,)) for source in SOURCES],
        Spawn(
            stream="cam",
            instance="test",
            epoch=3,
            digest="d1",
            socket_path="/run/cam.sock",
            log_path="/run/cam.log",
            secrets=(SECRET,),
        ),
    ],
)
def test_no_secret_is_printed(value: msgspec.Struct) -> None:
    """Neither repr nor what a pretty printer asks for holds a secret."""
    assert SECRET not in repr(value)
    assert SECRET not in repr(value.__rich_repr__())


def test_what_is_no_secret_is_printed() -> None:
    """A printed value still says what it is."""
    assert repr(CAMERA) == "RtspSource(transport='tcp', latency_ms=200)"


def test_hiding_changes_no_packet() -> None:
    """What is hidden from print still travels, and a class's own fields are all there are."""
    order = StartSource(epoch=3, source=CAMERA)
    packet = msgspec.msgpack.encode(order)
    assert msgspec.msgpack.decode(packet, type=StartSource) == order
    assert "hidden" not in msgspec.to_builtins(CAMERA)
