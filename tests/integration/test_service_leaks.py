"""Two hundred crashes leave nothing behind: no zombie, descriptor, thread, file or socket."""

import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.service import Service, table

pytestmark = pytest.mark.media

STREAMS = [f"cam-{number}" for number in range(4)]
CRASHES = 200
EAGER = """\
backoff = { base = "1ms", cap = "10ms" }
budget = { restarts = 1000, within = "1h" }
verify_for = "200ms"
"""
# Little to compute: the crashes are what is tried here.
TINY = (
    "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! h264parse"
)


def holdings(service: Service) -> dict[str, object]:
    """Return what could leak: of the manager, the fork server, and their directories."""
    (server,) = service.fork_servers()
    held: dict[str, object] = {"workers": sorted(service.workers().values())}
    for name, pid in (("manager", service.process.pid), ("fork server", server)):
        held[f"{name}: descriptors"] = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        held[f"{name}: zombies"] = sum(state(child) == "Z" for child in children(pid))
        held[f"{name}: children"] = len(children(pid))
    # Threads of the manager's pools come and go; those of the fork server would break its forks.
    held["fork server: threads"] = len(list(Path(f"/proc/{server}/task").iterdir()))
    held["sockets"] = len(list(service.runtime_dir.iterdir()))
    held["state"] = sorted(
        str(path.relative_to(service.state_dir))
        for path in service.state_dir.rglob("*")
        if "incidents" not in path.parts  # which are bounded, and here they reach their bound
    )
    return held


def no_more(now: dict[str, object], before: dict[str, object]) -> bool:
    """Tell whether nothing has grown: before, a file that was cut off may have been measured."""
    return all(
        it <= before[name] if isinstance(it, int) else it == before[name]  # type: ignore[operator]
        for name, it in now.items()
    )


def threads(service: Service) -> int:
    """Return how many threads the manager has."""
    return len(list(Path(f"/proc/{service.process.pid}/task").iterdir()))


def children(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`, zombies too."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def state(pid: int) -> str:
    """Return a process's state as the kernel names it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_two_hundred_crashes_leak_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """After them the manager and its fork server hold no more than before."""
    running = Service(
        tmp_path_factory.mktemp("svc"), *(table(id_, TINY) for id_ in STREAMS), recovery=EAGER
    )
    try:
        running.start().wait_healthy(*STREAMS)
        # The first crash opens what is then kept: it is not counted.
        killed: Counter[str] = Counter()
        crash(running, killed, until=len(STREAMS))
        healed(running, killed)
        before, threads_before = holdings(running), threads(running)
        crash(running, killed, until=CRASHES + len(STREAMS))
        healed(running, killed)
        running.wait("no more holdings", lambda: no_more(holdings(running), before), 10.0)
        assert threads(running) <= threads_before + 1
        assert not running.logged(level="error")
        restarts = sum(it["restarts_total"] for it in running.status()["streams"])
        assert restarts >= CRASHES
    finally:
        running.close()


def healed(service: Service, killed: Counter[str]) -> None:
    """Wait until every crash has been seen, and all streams are healthy after it."""
    for id_, crashes in killed.items():
        service.wait_for(
            id_,
            lambda it: it["restarts_total"] >= crashes and it["health"] == "healthy",  # noqa: B023 - used at once
        )


def crash(service: Service, killed: Counter[str], *, until: int) -> None:
    """Kill every worker that is seen, young or old, until so many have been."""
    seen: set[int] = set()

    def enough() -> bool:
        for pid, stream in service.workers().items():
            if pid not in seen:
                seen.add(pid)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed[stream] += 1
        return killed.total() >= until

    service.wait(f"{until} crashes", enough, within_s=90.0)
