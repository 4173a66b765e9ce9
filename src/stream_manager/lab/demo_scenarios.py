"""What the demo breaks: each scenario is one fault, made for real on one of its streams."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from stream_manager.lab.camera import Camera
from stream_manager.lab.proxy import Proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a fault can be done to: a stream's camera, the network, the process that records it."""

    camera: Camera
    network: Proxy
    worker_pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault on one stream.

    title, told: what it is in three words, and what is done.
    begin: does it, and returns at once.
    lasts_s, end: how long it is let be, and what undoes it then; None where it undoes itself.
    bound_s: within that time from the beginning the stream must be verified again.
    """

    title: str
    told: str
    stream: str
    bound_s: float
    begin: Callable[[Target], None]
    lasts_s: float = 0.0
    end: Callable[[Target], None] | None = None


def _kill_worker(target: Target) -> None:
    os.kill(target.worker_pid, signal.SIGKILL)


def _reboot_camera(target: Target) -> None:
    target.camera.reboot(after_s=3.0)


def _freeze_camera(target: Target) -> None:
    target.camera.freeze()


def _thaw_camera(target: Target) -> None:
    target.camera.thaw()


def _cut_network(target: Target) -> None:
    target.network.order("cut")


def _mend_network(target: Target) -> None:
    target.network.order("heal")


# The one stream whose camera is reached over the simulated network.
BEHIND_THE_NETWORK = "front-door"

# The bounds leave room for a busy machine; usual are 1.3 s, 8 s, 3.5 s and 8 s, of which
# verification takes one.
SCENARIOS = (
    Scenario(
        title="kill a worker",
        told="SIGKILL to the process that records front-door",
        stream="front-door",
        bound_s=15.0,
        begin=_kill_worker,
    ),
    Scenario(
        title="reboot a camera",
        told="car-park's camera dies and comes back after 3 s",
        stream="car-park",
        bound_s=30.0,
        begin=_reboot_camera,
    ),
    Scenario(
        title="freeze a camera",
        told="garden's camera sends nothing for 2 s, with all its connections open",
        stream="garden",
        bound_s=30.0,
        begin=_freeze_camera,
        lasts_s=2.0,
        end=_thaw_camera,
    ),
    Scenario(
        title="drop the network",
        told=f"nothing passes between {BEHIND_THE_NETWORK}'s camera and the manager for 6 s",
        stream=BEHIND_THE_NETWORK,
        bound_s=30.0,
        begin=_cut_network,
        lasts_s=6.0,  # longer than one attempt to connect, so that the journal names the network
        end=_mend_network,
    ),
)
