"""An element that keeps a buffer is found; a source that has none yet is not blamed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.integration.waiting import wait_for

from stream_manager.pipelines.blockage import Blockage, innermost
from stream_manager.pipelines.gst import Gst
from stream_manager.pipelines.messages import TrackProgress

Gst.init(None)


def silent_since(last_s: float) -> tuple[TrackProgress, ...]:
    """Return what a track reports whose newest frame is of `last_s`."""
    track = TrackProgress(
        name="video",
        frames=9,
        bytes=9,
        first_s=0.0,
        key_s=0.0,
        last_s=last_s,
        gap_max_s=0.0,
        gap_mean_s=0.0,
        gap_deviation_s=0.0,
    )
    return (track,)


@contextmanager
def playing(description: str) -> Iterator[Gst.Pipeline]:
    """Play a pipeline."""
    pipeline = Gst.parse_launch(description)
    assert isinstance(pipeline, Gst.Pipeline)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        yield pipeline
    finally:
        pipeline.set_state(Gst.State.NULL)


def test_the_element_that_keeps_a_buffer_is_named() -> None:
    """Of those that a buffer came through it is the last, and it counts in two looks in a row."""
    slow = "fakesrc ! queue ! identity ! bin.( identity name=slow sleep-time=700000 ) ! fakesink"
    with playing(slow) as pipeline:
        wait_for(lambda: innermost(pipeline))
        assert innermost(pipeline) == {"identity (slow)"}
        blockage = Blockage()
        assert blockage.look(pipeline, silent_since(1.0), 2.0) is None
        assert blockage.look(pipeline, silent_since(1.0), 2.2) == "identity (slow)"


@pytest.mark.parametrize("at_s", [1.2, 60.0])
def test_who_is_not_silent_just_now_is_not_looked_at(at_s: float) -> None:
    """Where media flows, or a track has long been given up, looking would cost for nothing."""
    with playing("fakesrc ! identity sleep-time=700000 ! fakesink") as pipeline:
        wait_for(lambda: innermost(pipeline))
        blockage = Blockage()
        assert [blockage.look(pipeline, silent_since(1.0), at_s) for _ in range(2)] == [None, None]


def test_a_source_that_waits_for_its_camera_keeps_nothing() -> None:
    """No element is to blame for a buffer that has not come."""
    waits = "appsrc is-live=true ! queue ! identity ! fakesink name=end async=false"
    with playing(waits) as pipeline:
        wait_for(lambda: has_begun(pipeline))
        wait_for(lambda: not innermost(pipeline))
        blockage = Blockage()
        looks = [blockage.look(pipeline, silent_since(1.0), at_s) for at_s in (2.0, 2.2, 2.4)]
        assert looks == [None, None, None]


def has_begun(pipeline: Gst.Pipeline) -> bool:
    """Tell whether the stream's start, which takes every lock on its way, has come to the end."""
    end = pipeline.get_by_name("end")
    pad = end.get_static_pad("sink") if end is not None else None
    assert pad is not None
    return pad.get_sticky_event(Gst.EventType.STREAM_START, 0) is not None
