"""The process that measures recorded files, on real ones: whole, cut off, and no recordings."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from stream_manager.pipelines.measurement import Measurement
from stream_manager.recordings import measuring

pytestmark = pytest.mark.media

SECONDS = 4


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Encode four seconds of picture and tone, once."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed: nothing else makes the files")
    path = tmp_path_factory.mktemp("encoded") / "clip.mkv"
    _ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=size=320x240:rate=25:duration={SECONDS}"),
        *("-f", "lavfi", "-i", f"sine=sample_rate=48000:duration={SECONDS}"),
        *("-c:v", "libx264", "-g", "10", "-c:a", "aac", str(path)),
    )
    return path


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *arguments], check=True, timeout=60)


def _muxed(clip: Path, folder: Path, container: str) -> Path:
    path = folder / f"whole.{container}"
    fragmented = ("-movflags", "frag_keyframe+empty_moov") if container == "mp4" else ()
    _ffmpeg("-i", str(clip), "-c", "copy", *fragmented, str(path))
    return path


def measured(*paths: Path) -> list[Measurement]:
    """Measure files, in a process of its own."""

    async def collect() -> list[Measurement]:
        return [found async for found in measuring.measure(paths)]

    return asyncio.run(collect())


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4"])
def test_a_file_is_measured_as_far_as_it_can_be_played(
    encoded: Path, tmp_path: Path, container: str
) -> None:
    """Whole to its last picture's end; cut in the middle, to about there. Tracks are told."""
    whole = _muxed(encoded, tmp_path, container)
    cut = tmp_path / f"cut.{container}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found, rest = measured(whole, cut)
    assert found.duration_s == pytest.approx(SECONDS, abs=0.05)
    assert {(track.codec, track.shape) for track in found.tracks} >= {("H264", "320x240")}
    assert {track.codec for track in found.tracks} == {"H264", "AAC"}
    assert found.whole
    assert 0.5 < rest.duration_s < 0.75 * SECONDS
    assert [it.error for it in (found, rest)] == ["", ""]


def test_a_file_that_ends_before_its_first_picture_is_told_at_once(
    encoded: Path, tmp_path: Path
) -> None:
    """A worker may be killed right then: nobody waits for what no demuxer will ever say."""
    whole = _muxed(encoded, tmp_path, "mp4").read_bytes()
    head = tmp_path / "head.mp4"
    head.write_bytes(whole[: whole.index(b"moof") - 4])
    found = measured(*[head] * 30)
    assert len(found) == 30
    assert {(it.whole, it.duration_s, it.tracks) for it in found} == {(False, 0.0, ())}
    assert "too long" not in " ".join(it.error for it in found)


def test_what_is_no_recording_is_told(encoded: Path, tmp_path: Path) -> None:
    """Noise, nothing, sound alone, a missing file: each has its answer, and the next is read."""
    files = [tmp_path / name for name in ("noise.ts", "empty.ts", "sound.mkv", "missing.ts")]
    files[0].write_bytes(bytes(range(256)) * 200)
    files[1].touch()
    _ffmpeg("-i", str(encoded), "-vn", "-c", "copy", str(files[2]))
    *bad, good = measured(*files, encoded)
    assert [(it.duration_s, it.whole) for it in bad] == [(0.0, False)] * 4
    assert all(it.error for it in bad)
    assert good.duration_s == pytest.approx(SECONDS, abs=0.05)


def test_a_file_that_ends_its_reader_costs_nobody_else_anything(
    encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader dies on it as it would by a demuxer's fault; the next file gets a new one."""
    marker = tmp_path / "deadly.ts"
    marker.touch()
    script = (
        "import sys, os\n"
        "from stream_manager.pipelines import measure\n"
        "whole = measure.measure\n"
        "def deadly(path):\n"
        "    if 'deadly' in path: os.abort()\n"
        "    return whole(path)\n"
        "measure.measure = deadly\n"
        "measure.main()\n"
    )
    monkeypatch.setattr(measuring, "COMMAND", (measuring.COMMAND[0], "-c", script))
    one, dead, other = measured(encoded, marker, encoded)
    assert dead.error
    assert not dead.duration_s
    assert one.duration_s == other.duration_s == pytest.approx(SECONDS, abs=0.05)
