"""Custom outputs: what is done with media beside the recording, and what it can't break."""

import os
from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

pytestmark = pytest.mark.media

FRAME_S = 0.04
OFTEN = """\
backoff = { base = "100ms", cap = "200ms" }
budget = { restarts = 100, within = "60s" }
verify_for = "200ms"
"""
MakeService = Callable[..., Service]


def outputs(**pipelines: str) -> str:
    """Return the TOML of outputs, by id, to stand below a stream."""
    return "\n".join(
        f"[[streams.outputs]]\nid = {id_!r}\npipeline = {pipeline!r}"
        for id_, pipeline in pipelines.items()
    )


def output(running: Service, id_: str) -> Json:
    """Return one output of the stream "cam"."""
    found: list[Json] = [it for it in running.stream("cam")["outputs"] if it["id"] == id_]
    assert len(found) == 1
    return found[0]


def recorded_without_a_hole(running: Service) -> None:
    """End the manager, and find each picture of "cam" one frame's time after the one before."""
    found = running.stream("cam")
    assert (found["restarts_total"], found["epoch"]) == (0, 1)
    assert running.stop() == 0
    times_s = [at_s for path in running.files("cam") for at_s in frame_times_s(path)]
    assert max(after - before for before, after in pairwise(times_s)) < 1.5 * FRAME_S


def test_an_output_gets_the_tracks_that_it_accepts(service: MakeService) -> None:
    """Picture and sound each at its pad, and what comes of them plays."""
    running = service(
        table("cam", "test:"),
        outputs(
            mux="h264parse ! mpegtsmux name=mux ! filesink location=copy.ts  aacparse ! mux.",
            eyes="h264parse ! avdec_h264 ! fakesink",
        ),
    ).start()
    running.wait_healthy("cam")  # with all its outputs
    for id_ in ("mux", "eyes"):
        assert output(running, id_)["kind"] == "pipeline"
        assert output(running, id_)["bytes"] > 0
    assert running.stop() == 0
    copy = running.folder / "copy.ts"
    assert len(frame_times_s(copy)) >= 5
    assert len(frame_times_s(copy, "a:0")) >= 5


def test_error_isolation_an_output_that_breaks_is_rebuilt_alone(service: MakeService) -> None:
    """It fails again and again; recording and source miss no picture, and the worker stays."""
    running = service(
        table("cam", "test:"),
        outputs(bad="h264parse ! identity error-after=40 ! fakesink"),
        recovery=OFTEN,
    ).start()
    running.wait("three rebuilds", lambda: output(running, "bad")["epoch"] >= 4)
    fault = output(running, "bad")["last_fault"]
    assert "Failed after iterations" in fault["message"]
    told = [it for it in running.journal("cam") if it["component"] == "cam/bad" and it["cause"]]
    assert len(told) >= 3
    recorded_without_a_hole(running)


def test_error_isolation_an_output_that_hangs_is_left_behind(service: MakeService) -> None:
    """Nobody reads its pipe: it is abandoned, a new one is built beside it, and others go on."""
    running = service(table("cam", "test:"), recovery=OFTEN)
    pipe = running.folder / "pipe"
    os.mkfifo(pipe)
    sink = f"h264parse ! video/x-h264,stream-format=byte-stream ! filesink location={pipe}"
    running.configure(table("cam", "test:"), outputs(hung=sink, fine="h264parse ! fakesink"))
    running.start()
    running.wait("it to be abandoned", lambda: abandoned(running))
    running.wait("a new one", lambda: output(running, "hung")["epoch"] >= 2)
    assert output(running, "fine")["state"] == "running"
    reader = os.open(pipe, os.O_RDONLY)
    try:
        running.wait_healthy("cam")
    finally:
        os.close(reader)
    recorded_without_a_hole(running)


def abandoned(running: Service) -> list[Json]:
    """Return the times at which the output was abandoned."""
    entries = running.journal("cam")
    return [it for it in entries if (it["component"], it["rule"]) == ("cam/hung", "abandoned")]


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("h264parse ! nosuchelement", 'no element "nosuchelement"'),
        ("videotestsrc ! fakesink", "no free sink pad"),
        ("h265parse ! fakesink", "accepts no track at"),
    ],
)
def test_an_output_that_can_not_be_built_says_why(
    service: MakeService, pipeline: str, said: str
) -> None:
    """It has failed for good, the stream is degraded, and its recording goes on."""
    running = service(table("cam", "test:"), outputs(bad=pipeline)).start()
    running.wait("its end", lambda: output(running, "bad")["state"] == "failed")
    assert said in output(running, "bad")["last_fault"]["message"]
    running.wait_for("cam", lambda it: it["health"] == "degraded")
    assert any("cam/bad is down" in it for it in running.explain("cam")["sentences"])
