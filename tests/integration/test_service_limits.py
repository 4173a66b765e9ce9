"""Workers that take more memory than they may: restarted in time, contained, and explained."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.service import Json, Service, frame_times_s, table

pytestmark = pytest.mark.media

MakeService = Callable[..., Service]
FRAME_S = 0.04
MIB = 2**20
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
    """With 50 MB/s it passes restart_above, never its limit, and every file is finished."""
    limits = '{ memory = "1GiB", restart_above = "80MiB" }'
    running = service(table("leaking", LEAKING, record=SHORT, limits=limits)).start()
    running.wait_for("leaking", lambda it: it["epoch"] == 2 and it["health"] == "healthy")
    first = faults(running, "leaking", "memory-grown-once")[0]
    assert (first["cause"], first["code"]) == ("memory", "restart-above")
    assert first["saw"]["delay_s"] == 0
    assert "restart_above is 80.0 MiB, and its last file has just ended" in first["saw"]["text"]
    assert "MiB/s" in first["saw"]["text"]
    assert not faults(running, "leaking", "memory-limit", "out-of-memory")
    assert running.stop() == 0
    files = running.files("leaking")
    assert len(files) >= 3
    assert [path for path in files if not is_finished(path)] == []


def test_a_leak_without_restart_above_is_contained_and_costs_others_nothing(
    service: MakeService,
) -> None:
    """It ends at its limit, over and over, explained; a neighbour is recorded frame for frame."""
    limits = '{ memory = "100MiB" }'
    running = service(
        table("neighbour", "test:"),
        table("leaking", LEAKING, limits=limits),
    ).start()
    running.wait_healthy("neighbour")
    # One that was forked a moment ago has one thread yet.
    plays = running.wait_for("leaking", lambda it: it["usage"] and it["usage"]["threads"] > 1)
    usage = plays["usage"]
    assert usage["memory_limit_bytes"] == 100 * MIB
    assert usage["descriptors"] > 3
    running.wait_for("leaking", lambda it: it["restarts_total"] >= 1)
    ended = faults(running, "leaking", "memory-limit")
    assert all("its limit is 100.0 MiB" in it["saw"]["text"] for it in ended)
    taken = [float(it["saw"]["text"].split()[2]) for it in ended]
    assert all(100 < mib < 250 for mib in taken), taken
    fault = running.stream("leaking")["last_fault"]
    assert (fault["cause"], fault["code"]) == ("memory", "memory-limit")
    said = " ".join(running.explain("leaking")["sentences"])
    assert "it took as much memory as its limit allows" in said
    assert "What you can do: see whether its memory grows without end" in said
    lost_nothing(running, "neighbour")


@pytest.fixture
def confined() -> Iterator[Path]:
    """Give a control group of the kernel's that allows 60 MiB, of whichever version is here."""
    groups = Path("/sys/fs/cgroup")
    v1, v2 = groups / "memory", groups
    name = f"stream-manager-test-{os.getpid()}"
    for parent, limit in ((v1, "memory.limit_in_bytes"), (v2, "memory.max")):
        group = parent / name
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(60 * MIB))
            except OSError:
                group.rmdir()
                continue
            yield group
            group.rmdir()
            return
    pytest.skip("no control group with a memory limit can be made here")


def test_a_kill_by_the_kernel_for_want_of_memory_is_told_as_one(
    service: MakeService, confined: Path
) -> None:
    """Its out-of-memory killer ends the leaking worker; a SIGKILL of anybody else's is no such."""
    running = service(table("leaking", LEAKING), table("other", "test:")).start()
    running.wait_healthy("leaking", "other")
    os.kill(running.stream("other")["pid"], signal.SIGKILL)
    other = running.wait_for("other", lambda it: it["last_fault"])["last_fault"]
    assert (other["cause"], other["code"]) == ("crash", "SIGKILL")
    assert "sent neither by this manager nor by the kernel for want of memory" in other["message"]
    (confined / "cgroup.procs").write_text(str(running.stream("leaking")["pid"]))
    fault = running.wait_for("leaking", lambda it: it["last_fault"])["last_fault"]
    assert (fault["cause"], fault["code"]) == ("memory", "SIGKILL:oom")
    assert "the machine had no memory left; at the last look it had" in fault["message"]
    running.wait_healthy("leaking")
