"""Custom outputs in processes of their own: what ends those costs the stream nothing."""

import os
import signal
from collections.abc import Callable

import pytest
from tests.integration.inside import CRASH, python_path, run_in
from tests.integration.service import Json, Service, frame_times_s, table
from tests.integration.test_service_outputs import OFTEN, output, recorded_without_a_hole

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]


def isolated(**pipelines: str) -> str:
    """Return the TOML of outputs that are isolated, by id, to stand below a stream."""
    return "\n".join(
        f"[[streams.outputs]]\nid = {id_!r}\npipeline = {pipeline!r}\nisolate = true"
        for id_, pipeline in pipelines.items()
    )


def pid_of(running: Service, id_: str) -> int:
    """Return the process of a running output, which is not the stream's."""
    running.wait("it to run", lambda: output(running, id_)["state"] == "running")
    pid: int = output(running, id_)["pid"]
    assert pid != running.stream("cam")["pid"]
    assert running.workers()[pid] == f"cam/{id_}"
    return pid


def replaced(running: Service, id_: str, pid: int) -> int:
    """Wait for an output to run in another process, and return that."""
    running.wait(
        "a new process that runs",
        lambda: (it := output(running, id_))["state"] == "running" and it["pid"] not in {None, pid},
    )
    return pid_of(running, id_)


def charges(running: Service, id_: str) -> list[Json]:
    """Return what the journal tells of faults of an output's own."""
    return [it for it in running.journal("cam") if it["component"] == f"cam/{id_}" and it["cause"]]


def test_error_isolation_a_crash_of_an_isolated_output_costs_no_picture(
    service: MakeService,
) -> None:
    """An element of it segfaults, then it is stopped: source and recording go on."""
    running = service(
        table("cam", "test:"),
        isolated(
            eyes="h264parse ! avdec_h264 ! identity name=victim ! fakesink",
            copy="h264parse ! mpegtsmux name=mux ! filesink location=copy.ts  aacparse ! mux.",
        ),
        recovery=OFTEN,
    )
    running.start(PYTHONPATH=python_path(running.folder))
    first = pid_of(running, "eyes")
    run_in(running, first, CRASH)
    second = replaced(running, "eyes", first)
    (crash,) = charges(running, "eyes")
    assert (crash["cause"], crash["code"]) == ("crash", "SIGSEGV")
    stacks = running.state_dir / "incidents" / str(crash["seq"]) / str(crash["seq"]) / "stacks.txt"
    running.wait("the evidence", stacks.exists)
    assert "in string_at" in stacks.read_text()
    os.kill(second, signal.SIGSTOP)
    replaced(running, "eyes", second)
    assert [it["code"] for it in charges(running, "eyes")] == ["SIGSEGV", "hang"]
    assert output(running, "copy")["epoch"] == 1
    recorded_without_a_hole(running)
    assert len(frame_times_s(running.folder / "copy.ts")) >= 25
    assert len(frame_times_s(running.folder / "copy.ts", "a:0")) >= 25


def test_error_isolation_an_isolated_output_comes_back_with_its_source(
    service: MakeService,
) -> None:
    """Source, then worker are lost: it waits for them, is charged nothing, and leaves nothing."""
    short = "h264parse ! identity error-after=60"
    picture = "videotestsrc is-live=true ! x264enc tune=zerolatency speed-preset=ultrafast"
    running = service(
        table("cam", f"{picture} key-int-max=10 ! {short}"),
        isolated(eyes="h264parse ! fakesink sync=true"),
        recovery=OFTEN,
    ).start()
    first = pid_of(running, "eyes")
    second = replaced(running, "eyes", first)
    os.kill(running.stream("cam")["pid"], signal.SIGKILL)
    replaced(running, "eyes", second)
    told = output(running, "eyes")
    assert (told["attempt"], told["last_fault"]) == (0, None)
    assert running.stop() == 0
    assert not list(running.runtime_dir.glob("w-*"))


def test_error_isolation_an_isolated_output_that_fails_for_good_fails_alone(
    service: MakeService,
) -> None:
    """Its spent budget does not replace the stream's worker, and a reset revives it."""
    running = service(
        table("cam", "test:"),
        isolated(bad="h264parse ! identity error-after=15 ! fakesink"),
        recovery=OFTEN.replace("restarts = 100", "restarts = 1"),
    ).start()
    running.wait("its end", lambda: output(running, "bad")["state"] == "failed")
    assert "Failed after iterations" in output(running, "bad")["last_fault"]["message"]
    assert output(running, "bad")["pid"] is None
    epoch = output(running, "bad")["epoch"]
    running.command("cam", "reset")
    running.wait("it to start anew", lambda: output(running, "bad")["epoch"] > epoch)
    recorded_without_a_hole(running)


def test_error_isolation_an_isolated_output_starts_anew_under_the_next_manager(
    service: MakeService,
) -> None:
    """The stream's worker is adopted and misses no picture; the output's is ended and replaced."""
    running = service(
        table("cam", "test:"), isolated(eyes="h264parse ! fakesink"), recovery=OFTEN
    ).start()
    first, worker = pid_of(running, "eyes"), running.stream("cam")["pid"]
    running.crash()
    running.start()
    replaced(running, "eyes", first)
    assert running.stream("cam")["pid"] == worker
    assert set(running.workers()) == {worker, output(running, "eyes")["pid"]}
    assert output(running, "eyes")["last_fault"] is None
    recorded_without_a_hole(running)
