"""Plays the demo's recordings back: whatever was written must decode."""

import asyncio
import json
import shutil
from pathlib import Path

from stream_manager.lab.demo_results import Recording

# A broken file may make a player search for long; these are all shorter than two minutes.
PLAY_WITHIN_S = 60.0
COUNT_FRAMES = (
    *("-v", "error", "-count_frames", "-select_streams", "v:0"),
    *("-show_entries", "stream=nb_read_frames", "-of", "json"),
)


async def play_back(stream: str, directory: Path) -> Recording:
    """Decode every frame below `directory` with ffprobe, where it is installed."""
    files = _files(directory)
    ffprobe = shutil.which("ffprobe")
    frames = None
    unplayable: dict[Path, str] = {}
    if ffprobe is not None:
        frames = 0
        for path in files:
            try:
                frames += await _count_frames(ffprobe, path)
            except ValueError as error:
                unplayable[path] = str(error)
    return Recording(
        stream=stream,
        files=len(files),
        size_bytes=sum(path.stat().st_size for path in files),
        frames=frames,
        unplayable=unplayable,
    )


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


async def _count_frames(ffprobe: str, path: Path) -> int:
    """Return how many pictures of a file decode; ValueError says why it does not play."""
    process = await asyncio.create_subprocess_exec(
        ffprobe,
        *(*COUNT_FRAMES, str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PLAY_WITHIN_S):
            said, errors = await process.communicate()
    except TimeoutError as error:
        raise ValueError(f"not decoded within {PLAY_WITHIN_S:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise ValueError(errors.decode(errors="replace").strip().rpartition("\n")[2])
    video = json.loads(said)["streams"]
    frames = int(video[0].get("nb_read_frames", 0)) if video else 0
    if not frames:
        raise ValueError("no picture in it decodes")
    return frames
