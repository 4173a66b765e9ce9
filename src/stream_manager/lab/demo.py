"""The demo: real cameras, a real manager, real faults, and what the manager made of each.

Everything it tells about a fault is read from the manager's status and journal, from outside, as
any user could; the demo itself knows only what it broke and when.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from stream_manager.clock import Clock
from stream_manager.errors import OutsideError
from stream_manager.lab.camera import Camera
from stream_manager.lab.demo_manager import Manager
from stream_manager.lab.demo_recordings import play_back
from stream_manager.lab.demo_results import CONFIG, LOG, RECORDINGS, Verdict
from stream_manager.lab.demo_scenarios import BEHIND_THE_NETWORK, SCENARIOS
from stream_manager.lab.demo_scene import POLL_S, Scene
from stream_manager.lab.demo_story import Audience, Beat
from stream_manager.lab.proxy import Proxy

UP_WITHIN_S = 30.0
FOOTAGE = "shared/media/bigbuckbunny.mp4"
STREAMS = tuple(dict.fromkeys(scenario.stream for scenario in SCENARIOS))


def footage() -> Path | None:
    """Return the real clip that may lie beside a checkout of this project."""
    clip = Path(__file__).parents[4] / FOOTAGE
    return clip if clip.is_file() else None


async def play(
    audience: Audience, *, program: Path, clip: Path | None, watch_s: float, clock: Clock
) -> Verdict:
    """Record cameras, break one stream after another, and play the recordings back.

    program: the `stream-manager` command.
    clip: what the cameras send; None: a generated picture that numbers its frames.
    watch_s: how long to watch before each fault, and after the last.

    Nothing runs afterwards, and all that stays is one new folder in the working directory. Raises
    UsageError for a clip that can't be read, and OutsideError if a camera or the manager fails.
    """
    async with AsyncExitStack() as stack:
        cameras = {id_: stack.enter_context(Camera(id_, clip=clip)) for id_ in STREAMS}
        networked = cameras[BEHIND_THE_NETWORK]
        sent = "a generated picture" if clip is None else clip.name
        audience.tell(
            Beat.STEP, f"{len(STREAMS)} cameras send {sent} over RTSP: {', '.join(STREAMS)}"
        )
        network = stack.enter_context(Proxy(to=f"127.0.0.1:{networked.port}"))
        urls = {id_: cameras[id_].url(id_) for id_ in STREAMS}
        urls[BEHIND_THE_NETWORK] = network.url(BEHIND_THE_NETWORK)
        folder = _make_folder(clock)
        config = folder / CONFIG
        config.write_text(_configuration(urls))
        manager = await stack.enter_async_context(Manager(program, folder))
        audience.tell(Beat.STEP, f"a manager records them: stream-manager run {config}")
        scene = Scene(manager, audience, clock)
        took_s = await _wait_until_up(scene, clock, folder / LOG)
        audience.tell(Beat.HEALED, f"all streams are verified, {took_s:.1f} s after its start")
        outcomes = []
        for scenario in SCENARIOS:
            await scene.watch(watch_s)
            outcomes.append(await scene.play(scenario, cameras[scenario.stream], network))
        await scene.watch(watch_s)
        # A fault may have harmed another stream than its own, or one that had healed.
        ailing = await until_healthy(scene, clock)
        for id_, health in ailing.items():
            audience.tell(Beat.LOST, f"{id_} is {health}, {UP_WITHIN_S:g} s after all was mended")
        await manager.stop()
    audience.tell(Beat.STEP, "the manager was stopped by SIGTERM; every recording is played back")
    recordings = [await play_back(id_, folder / RECORDINGS / id_) for id_ in STREAMS]
    return Verdict(
        folder=folder, outcomes=tuple(outcomes), recordings=tuple(recordings), ailing=ailing
    )


def _make_folder(clock: Clock) -> Path:
    folder = Path(f"demo-{clock.wall().astimezone():%Y-%m-%dT%H-%M-%S}")
    try:
        folder.mkdir()
    except OSError as error:
        raise OutsideError(f"the folder {folder} can't be made: {error.strerror}") from error
    return folder


def _configuration(urls: Mapping[str, str]) -> str:
    parts = [
        '[manager]\nstate_dir = "./state"\nruntime_dir = "./run"\norphan_grace = "5s"\n',
        f'[[volumes]]\nid = "main"\npath = "./{RECORDINGS}"\n',
        *(
            f'[[streams]]\nid = "{id_}"\nsource = "{url}"\nrecord = {{ volumes = ["main"] }}\n'
            for id_, url in urls.items()
        ),
    ]
    return "\n".join(parts)


async def _wait_until_up(scene: Scene, clock: Clock, log: Path) -> float:
    """Return how long it took until media of every stream was verified."""
    began_s = clock.monotonic_s()
    if await until_healthy(scene, clock):
        raise OutsideError(
            f"not every stream was healthy within {UP_WITHIN_S:g} s; {log} tells why"
        )
    return clock.monotonic_s() - began_s


async def until_healthy(scene: Scene, clock: Clock) -> dict[str, str]:
    """Wait until all streams are healthy, but not for long; return the health of each that isn't.

    Raises OutsideError if the manager ends.
    """
    began_s = clock.monotonic_s()
    while True:
        streams = await scene.look() or {}
        health = {id_: streams[id_]["health"] if id_ in streams else "unknown" for id_ in STREAMS}
        ailing = {id_: it for id_, it in health.items() if it != "healthy"}
        if not ailing or clock.monotonic_s() - began_s >= UP_WITHIN_S:
            return ailing
        await clock.sleep(POLL_S)
