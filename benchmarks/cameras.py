"""Simulated cameras for measurements, spread over processes so that none of them is the limit."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import process
from stream_manager.lab.camera import Camera
from stream_manager.lab.picture import Picture

HD = Picture(width=1280, height=720, fps=25, gop=25)
SMALL = Picture(width=320, height=184, fps=25, gop=10)  # is encoded fast, for cameras that reboot

MOUNTS_A_PROCESS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Many mounts of few processes."""

    cameras: tuple[Camera, ...]
    urls: tuple[str, ...]

    def cpu_s(self) -> float:
        """Return the processor time that all of them have taken."""
        return sum(process.cpu_s(camera.pid) for camera in self.cameras)


@contextmanager
def crowd(count: int, *faults: str) -> Iterator[Crowd]:
    """Run `count` mounts that send 720p25 H.264 and AAC, a keyframe first to each client."""
    mounts = [f"cam-{number:02}" for number in range(count)]
    with ExitStack() as stack:
        cameras, urls = [], []
        for start in range(0, count, MOUNTS_A_PROCESS):
            own = mounts[start : start + MOUNTS_A_PROCESS]
            camera = stack.enter_context(Camera(*own, picture=HD, faults=faults))
            cameras.append(camera)
            urls += [camera.url(mount) for mount in own]
        yield Crowd(cameras=tuple(cameras), urls=tuple(urls))


@contextmanager
def singles(count: int, *, picture: Picture) -> Iterator[tuple[Camera, ...]]:
    """Run `count` cameras of one mount ("cam") each, which can be broken one by one."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(Camera("cam", picture=picture)) for _ in range(count))
