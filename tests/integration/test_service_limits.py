"""Workers that take more memory than they may: restarted in time, contained, and explained."""

import subprocess
from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]
FRAME_S = 0.04
SMALL = (
    "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! h264parse"
)
# Beside it a queue without bounds fills before a sink that waits for an hour.
LEAK = (
    " ! queue max-size-bytes=0 max-size-buffers=0 max-size-time=0"
    " ! fakesink sync=true ts-offset=3600000000000"
)
LEAKING = (  # 50 MB/s
    f"{SMALL}  fakesrc is-live=true sync=true format=time datarate=50000000"
    f" sizetype=fixed sizemax=1000000 filltype=pattern{LEAK}"
)
RUNAWAY = (  # as fast as memory can be had
    f"{SMALL}  videotestsrc pattern=black"
    f" ! video/x-raw,format=GRAY8,width=4096,height=4096,framerate=1000/1{LEAK}"
)
SHORT = '{ volumes = ["main"], segment = "1s", container = "mkv" }'


def faults(running: Service, id_: str, *rules: str) -> list[Json]:
    """Return the journal's entries by which a worker was ended for its memory."""
    return [it for it in running.journal(id_) if it["rule"] in rules]


def is_finished(path: object) -> bool:
    """Tell whether a Matroska file was ended in good order: only then its head has a length."""
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return shown.stdout.strip() not in {"", "N/A"}


def lost_nothing(running: Service, id_: str) -> None:
    """Assert that a stream was never disturbed, and that its files hold every frame."""
    stream = running.stream(id_)
    assert (stream["restarts_total"], stream["last_fault"]) == (0, None)
    assert stream["availability"] == 1.0
    assert running.stop() == 0
    times_s = [at_s for path in running.files(id_) for at_s in frame_times_s(path)]
    assert len(times_s) >= stream["media"]["frames"]
    assert max(after - before for before, after in pairwise(times_s)) < 1.5 * FRAME_S


def test_a_leaking_worker_is_restarted_at_a_boundary_and_no_file_is_cut_off(
    service: MakeService,
) -> None:
    """With 50 MB/s it passes restart_above twice, never its limit, and every file is finished."""
    limits = '{ memory = "1GiB", restart_above = "120MiB" }'
    running = service(table("leaking", LEAKING, record=SHORT, limits=limits)).start()
    running.wait_for("leaking", lambda it: it["epoch"] == 3 and it["health"] == "healthy")
    first, second = faults(running, "leaking", "memory-grown-once", "memory-grown")[:2]
    assert (first["rule"], second["rule"]) == ("memory-grown-once", "memory-grown")
    assert (first["cause"], first["code"]) == ("memory", "restart-above")
    assert first["saw"]["delay_s"] == 0
    assert "restart_above is 120.0 MiB, and its last file has just ended" in first["saw"]["text"]
    assert "MiB/s" in first["saw"]["text"]
    assert not faults(running, "leaking", "memory-limit", "out-of-memory")
    assert running.stop() == 0
    files = running.files("leaking")
    assert len(files) >= 4
    assert [path for path in files if not is_finished(path)] == []


def test_a_leak_without_restart_above_is_contained_and_costs_others_nothing(
    service: MakeService,
) -> None:
    """A slow leak ends where its limit is, a fast one where the kernel's is, each explained."""
    limits = '{ memory = "100MiB" }'
    running = service(
        table("neighbour", "test:"),
        table("leaking", LEAKING, limits=limits),
        table("runaway", RUNAWAY, limits=limits),
    ).start()
    running.wait_healthy("neighbour")
    running.wait_for("leaking", lambda it: it["restarts_total"] >= 1)
    running.wait_for("runaway", lambda it: it["restarts_total"] >= 2)
    leaking = faults(running, "leaking", "memory-limit")[0]
    assert "its limit is 100.0 MiB" in leaking["saw"]["text"]
    runaway = [it["saw"]["text"] for it in faults(running, "runaway", "memory-limit")]
    assert any("refused more memory by its limit of 100.0 MiB" in text for text in runaway)
    assert any("failed to allocate" in text for text in runaway)
    fault = running.stream("runaway")["last_fault"]
    assert fault["cause"] == "memory"
    assert any("as much memory as its limit allows" in it for it in running.explain("runaway")["sentences"])
    lost_nothing(running, "neighbour")
