import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.integration.service import Service, frame_times_s, table
from tests.integration.waiting import wait_for
from tests.unit.library import TRACKS, Library, segment

from stream_manager.pipelines.messages import RecordedTrack

pytestmark = pytest.mark.media

Json = dict[str, Any]
CONTAINERS = ("ts", "mkv", "mp4")
# A picture lasts 40 ms; the first sound may come a little before the first picture.
NEAR_S = 0.025
PICTURE_S = 0.04
SOUND = RecordedTrack(kind="audio", codec="AAC", shape="48000 Hz x 1")
COMMAND = Path(sys.executable).parent / "stream-manager"


def segments(*arguments: object, config: Path, expected: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Run a command of `segments` with --json and return its answer, or what it said instead."""
    ended = subprocess.run(
        [COMMAND, "segments", *map(str, arguments), "--json", "--config", config],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == expected, ended.stderr
    return json.loads(ended.stdout) if ended.stdout else ended.stderr


def left_open(service: Service, *, epoch: int) -> list[Json]:
    """Return what recorders of an epoch have not finished, and nobody has measured."""
    found = segments("list", config=service.config)
    return [it for it in found if it["state"] == "open" and it["epoch"] == epoch]


def wall_times(it: Json) -> list[datetime]:
    """Return when each picture of a segment was taken."""
    times_s = frame_times_s(Path(it["path"]))
    began_at = datetime.fromisoformat(it["began_at"])
    return [began_at + timedelta(seconds=at_s - times_s[0]) for at_s in times_s]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Record a stream in each container, and kill the workers in the middle."""
    record = '{ volumes = ["main"], segment = "2s", container = "%s" }'
    service = Service(
        tmp_path_factory.mktemp("export"),
        *(table(it, "test:", record=record % it) for it in CONTAINERS),
    )
    try:
        service.start().wait_healthy(*CONTAINERS)
        for it in CONTAINERS:
            service.wait_media(it, 3)
        for pid in service.workers():
            os.kill(pid, signal.SIGKILL)
        for it in CONTAINERS:
            service.wait_for(it, lambda now: now["restarts_total"] and now["health"] == "healthy")
            service.wait_media(it, 5)
        # What the killed ones left has been measured: the index says no more of it later.
        wait_for(lambda: not left_open(service, epoch=1))
        yield service
    finally:
        service.close()


@pytest.mark.parametrize("suffix", CONTAINERS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_position_in_an_export_is_wall_time(
    recorded: Service, tmp_path: Path, container: str, suffix: str
) -> None:
    """Every picture of the range is in it, in its place, across the gap that a kill has left."""
    found = segments("list", container, config=recorded.config)
    whole = [it for it in found if it["state"] != "open"]
    began_at, ended_at = whole[0]["began_at"], whole[-1]["ended_at"]
    since = datetime.fromisoformat(began_at) + timedelta(seconds=1.5)
    until = datetime.fromisoformat(ended_at) - timedelta(seconds=0.7)
    file = tmp_path / f"out.{suffix}"
    times = ("--from", since.isoformat(), "--to", until.isoformat())
    manifest = segments("export", container, *times, "-o", file, config=recorded.config)

    pictures = sorted(at for it in whole for at in wall_times(it))
    key_at = datetime.fromisoformat(began_at) + timedelta(seconds=1)  # one a second
    expected = [at for at in pictures if key_at - timedelta(seconds=0.01) < at < until]
    times_s = frame_times_s(file)
    # A picture that ends beyond the range may be in it or not, as positions are rounded.
    assert len(expected) - len(times_s) in (0, 1)
    expected = expected[: len(times_s)]
    first_at = datetime.fromisoformat(manifest["exported"]["from"])
    assert abs(first_at - expected[0]) < timedelta(seconds=NEAR_S)
    for at_s, at in zip(times_s, expected, strict=True):
        wanted_s = (at - expected[0]).total_seconds()
        assert at_s - times_s[0] == pytest.approx(wanted_s, abs=NEAR_S)

    assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest["bytes"] == file.stat().st_size
    assert manifest == json.loads((tmp_path / f"{file.name}.json").read_text())
    for it in manifest["segments"]:
        data = Path(it["path"]).read_bytes()[: it["bytes"]]
        assert it["sha256"] == hashlib.sha256(data).hexdigest()
    gaps = segments("gaps", container, *times, config=recorded.config)
    assert manifest["gaps"] == gaps
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(it.name for it in tmp_path.iterdir()) == [file.name, f"{file.name}.json"]


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_is_being_recorded_is_exported_too(
    recorded: Service, tmp_path: Path, container: str
) -> None:
    """The open file's part so far is in it, with a checksum of just that part."""
    recorded.wait_media(container, 1)
    file = tmp_path / "now"
    times = ("--from", "10min", "--to", "2100-01-01")
    manifest = segments("export", container, *times, "-o", file, config=recorded.config)
    last = manifest["segments"][-1]
    assert (manifest["file"], last["state"]) == (f"now.{container}", "open")
    if container == "ts":  # the others' heads are written again when the file is finished
        data = Path(last["path"]).read_bytes()[: last["bytes"]]
        assert last["sha256"] == hashlib.sha256(data).hexdigest()
    times_s = frame_times_s(tmp_path / manifest["file"])
    # It may have begun just now, and hold no picture yet.
    assert times_s[-1] - times_s[0] >= last["position_s"] - PICTURE_S - NEAR_S


def test_verify_of_real_recordings(recorded: Service) -> None:
    """What the writer makes, and what a kill leaves, is as it should be in every container."""
    found = segments("verify", config=recorded.config)
    assert (found["wrong"], found["not_indexed"], found["lost_volumes"]) == ([], [], [])
    assert found["states"]["whole"] >= len(CONTAINERS)


@pytest.fixture
def clips(tmp_path: Path) -> Library:
    """Make an index of three files in MP4, of which the second breaks off within a picture."""
    made = Library(tmp_path)
    path = tmp_path / "clip.mp4"
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=10")
    form = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25")
    fragments = ("-movflags", "frag_keyframe+empty_moov")
    subprocess.run(["ffmpeg", "-v", "error", *source, *form, *fragments, path], check=True)
    whole = path.read_bytes()
    for at_s in (0, 20):
        made.hold(segment(at_s, container="mp4", bytes=len(whole), stream="clips"), data=whole)
    half = whole[: len(whole) // 2]
    made.hold(
        segment(10, container="mp4", bytes=len(half), stream="clips", duration_s=5.0), data=half
    )
    return made


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_what_a_handover_recorded_twice_is_in_an_export_and_moves_nothing(
    clips: Library, tmp_path: Path, suffix: str
) -> None:
    """Every picture of both recorders is in it; what comes after the overlap is in its place."""
    whole = (clips.root / segment(0, container="mp4", stream="clips").path).read_bytes()
    for at_s, epoch in ((60, 3), (68, 4), (78, 4)):
        made = segment(
            at_s, container="mp4", bytes=len(whole), stream="clips", epoch=epoch, sequence=at_s
        )
        clips.hold(made, data=whole)
    file = tmp_path / f"out.{suffix}"
    times = ("--from", "2026-01-31T12:01:00Z", "--to", "2026-01-31T12:02Z")
    manifest = segments("export", "clips", *times, "-o", file, config=clips.config)
    assert [it["position_s"] for it in manifest["segments"]] == [0.0, 8.0, 18.0]
    times_s = frame_times_s(file)
    times_s = [it - times_s[0] for it in times_s]
    assert len(times_s) == 750
    once, twice, after = times_s[:250], times_s[250:300], times_s[300:]
    assert once == pytest.approx([number * PICTURE_S for number in range(250)], abs=NEAR_S)
    # Tick by tick, which in Matroska is a millisecond.
    assert twice == pytest.approx([10 - PICTURE_S] * 50, abs=NEAR_S + 0.05)
    assert after == pytest.approx([10 + number * PICTURE_S for number in range(450)], abs=NEAR_S)


EXPORT = ("export", "clips", "--from", "2026-01-31T12:00Z", "--to", "2026-01-31T12:01Z", "-o")


def test_a_file_that_breaks_off_within_a_picture_ends_nothing(
    clips: Library, tmp_path: Path
) -> None:
    """What follows it in the range is in the export, in its place."""
    manifest = segments(*EXPORT, tmp_path / "out.mkv", config=clips.config)
    times_s = frame_times_s(tmp_path / "out.mkv")
    assert len([it for it in times_s if it >= 20 - NEAR_S]) == 250
    assert 250 + 100 <= len([it for it in times_s if it < 20 - NEAR_S]) <= 250 + 125
    assert [it["position_s"] for it in manifest["segments"]] == [0.0, 10.0, 20.0]


def test_a_file_that_can_not_be_read_on_ends_the_export_with_an_error(
    clips: Library, tmp_path: Path
) -> None:
    """An export that lacks what comes after is never taken for a whole one."""
    path = clips.root / segment(10, container="mp4", stream="clips").path
    data = bytearray(path.read_bytes())
    data[5000:] = bytes(len(data) - 5000)
    path.write_bytes(data)
    said = segments(*EXPORT, tmp_path / "out.mkv", config=clips.config, expected=1)
    assert "ffmpeg can't join the files" in said
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("container", CONTAINERS)
def test_sound_that_is_missing_for_a_while_ends_nothing(tmp_path: Path, container: str) -> None:
    """A segment without sound leaves its place silent, and the pictures and sounds around stay."""
    made = Library(tmp_path)
    for at_s, tracks in ((0, (*TRACKS, SOUND)), (10, TRACKS), (20, (*TRACKS, SOUND))):
        clip = tmp_path / f"{at_s}.{container}"
        picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=10")
        tone = ("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=10")
        form = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-c:a", "aac")
        sources = (*picture, *(tone if SOUND in tracks else ()))
        subprocess.run(["ffmpeg", "-v", "error", *sources, *form, clip], check=True)
        fields = {"container": container, "tracks": tracks, "stream": "clips"}
        data = clip.read_bytes()
        made.hold(segment(at_s, bytes=len(data), **fields), data=data)
    file = tmp_path / f"out.{container}"
    said = subprocess.run(
        [COMMAND, "segments", *EXPORT, file, "--config", made.config],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    (lack,) = json.loads(file.with_name(f"{file.name}.json").read_text())["lacking"]
    assert lack == {
        "track": "audio",
        "from": "2026-01-31T12:00:10.000000Z",
        "to": "2026-01-31T12:00:20.000000Z",
    }
    (line,) = said.stderr.splitlines()
    assert line.startswith(f"{file} lacks audio for 10.00 s, first at ")
    times_s = frame_times_s(file)
    assert len(times_s) == 750
    heard_s = frame_times_s(file, "a:0")
    silent_s, heard_again_s = next(it for it in pairwise(heard_s) if it[1] - it[0] > 1)
    assert (silent_s - times_s[0], heard_again_s - times_s[0]) == pytest.approx((10, 20), abs=0.1)


@pytest.mark.parametrize("container", CONTAINERS)
def test_sound_that_outlasts_its_picture_ends_nothing(tmp_path: Path, container: str) -> None:
    """It reaches into the next file, and every picture of both is where it belongs."""
    made = Library(tmp_path)
    clip = tmp_path / f"clip.{container}"
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2")
    tone = ("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=2.05")
    form = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-c:a", "aac")
    subprocess.run(["ffmpeg", "-v", "error", *picture, *tone, *form, clip], check=True)
    data = clip.read_bytes()
    for at_s in (0, 2):
        fields = {"container": container, "tracks": (*TRACKS, SOUND), "stream": "clips"}
        made.hold(segment(at_s, bytes=len(data), duration_s=2.0, **fields), data=data)
    file = tmp_path / f"out.{container}"
    segments(*EXPORT, file, config=made.config)
    times_s = frame_times_s(file)
    steps_s = [after - before for before, after in pairwise(times_s)]
    assert len(times_s) == 100
    assert steps_s == pytest.approx([0.04] * 99, abs=0.002)


def test_a_disk_that_fills_up_midway(clips: Library, tmp_path: Path) -> None:
    """What was written is removed, and the error says how much is needed and free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        held = clips.root / segment(0, container="mp4", stream="clips").path
        needed = sum(it.stat().st_size for it in held.parent.iterdir())
        room = disk / "room"
        # The check beforehand is passed: only MPEG-TS, which takes more, does not fit.
        subprocess.run(["mount", "-o", f"remount,size={needed + 8192}", disk], check=True)
        said = segments(*EXPORT, disk / "out.ts", config=clips.config, expected=1)
        free = shutil.disk_usage(disk).free
        assert f"the disk of {disk}/out.ts is full: more than {free} bytes are needed" in said
        assert not list(disk.iterdir())
        room.write_bytes(bytes(8192 * 2))
        said = segments(*EXPORT, disk / "out.ts", config=clips.config, expected=1)
        assert "has too little room" in said
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_export_leaves_nothing(
    clips: Library, tmp_path: Path, number: signal.Signals
) -> None:
    """Neither the partial file nor ffmpeg stays, after Ctrl-C and after SIGTERM."""
    pipe = tmp_path / "pipe"  # ffmpeg waits for a reader's room, and so for the signal
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "ffmpeg").write_text(f"#!/bin/sh\necho $$ > {pipe}\nexec sleep 60\n")
    (slow / "ffmpeg").chmod(0o755)
    ended = subprocess.Popen(
        [COMMAND, "segments", *EXPORT, tmp_path / "out.ts", "--config", clips.config],
        env={**os.environ, "PATH": f"{slow}:{os.environ['PATH']}"},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: pipe.exists() and pipe.read_text().endswith("\n"))
    assert (tmp_path / "out.ts.part").exists()
    ended.send_signal(number)
    assert ended.wait(10) != 0
    assert not list(tmp_path.glob("out*"))
    assert not Path(f"/proc/{pipe.read_text().strip()}").exists()
