"""What is told of a source: facts as values, and a table that a configuration takes as it is."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.cli.probe_text import lines
from stream_manager.config import check
from stream_manager.pipelines.findings import Findings, TrackFindings
from stream_manager.pipelines.spec import FileSource, RtspSource, TestSource
from stream_manager.probe import Target, facts, table

FILE = 'volumes = [{ id = "main", path = "./recordings" }]\n'


def track(codec: str, kind: str = "video", **fields: object) -> TrackFindings:
    """Return a track that was watched for three seconds, 25 frames in each."""
    values: dict[str, Any] = {
        "name": kind,
        "kind": kind,
        "codec": codec,
        "profile": None,
        "width": None,
        "height": None,
        "declared_fps": None,
        "sample_rate_hz": None,
        "channels": None,
        "frames": 76,
        "bytes": 375_000,
        "seconds": 3.0,
        "key_frames": (),
    }
    return msgspec.convert(values | fields, TrackFindings)


VIDEO = track(
    "H264", profile="high", width=1920, height=1080, declared_fps=25.0, key_frames=(50, 50)
)
SOUND = track("AAC", "audio", channels=1, sample_rate_hz=48000, bytes=24_000)


def camera(*, transport: Literal["tcp", "udp"] = "tcp", exports: tuple[str, ...] = ()) -> Target:
    """Return a camera that was asked."""
    return Target(
        source=RtspSource(url="rtsp://cam/door", user="u", password="p", transport=transport),
        secrets=("p",),
        text="rtsp://u:${CAM_PASSWORD}@cam/door",
        exports=exports,
        id="door",
    )


def findings(*tracks: TrackFindings) -> Findings:
    """Return what was found, in the order in which it was."""
    return Findings(seconds=3.04, tracks=tracks)


def test_a_cameras_facts_are_numbers_with_units() -> None:
    """Rates are measured, sizes declared, keyframe distances given in frames and seconds."""
    found = facts(camera(), findings(SOUND, VIDEO))
    assert found["transport"] == "tcp"
    assert (found["watched_s"], found["container"]) == (3.0, "ts")
    video, sound = found["tracks"]
    assert video == {
        "kind": "video",
        "codec": "H264",
        "profile": "high",
        "width": 1920,
        "height": 1080,
        "declared_fps": 25.0,
        "fps": 25.0,
        "keyframe_distance_frames": [50, 50],
        "keyframe_distance_s": [2.0, 2.0],
        "sample_rate_hz": None,
        "channels": None,
        "bitrate_bps": 1_000_000,
    }
    assert (sound["channels"], sound["fps"], sound["bitrate_bps"]) == (1, None, 64_000)


def test_people_read_the_facts_as_comments_in_columns() -> None:
    """All that is printed may be appended to a configuration."""
    found = facts(camera(exports=("CAM_PASSWORD",)), findings(SOUND, VIDEO))
    printed = list(lines(found))
    assert printed[:4] == [
        "# rtsp://u:${CAM_PASSWORD}@cam/door, watched for 3 s over tcp",
        (
            "#   video  H264 (high)  1920x1080  25.0 frames/s  1.0 Mbit/s"
            "  a keyframe every 50 frames (2 s)"
        ),
        "#   audio  AAC          1 channel  48000 Hz       64 kbit/s",
        "# before it is run: export CAM_PASSWORD='…', the secret as it is, not percent-encoded",
    ]
    (stream,) = tomllib.loads("\n".join(printed))["streams"]
    assert stream["id"] == "door"


@pytest.mark.parametrize(
    ("key_frames", "words"),
    [
        ((), "no second keyframe came"),
        ((1, 1, 1), "every frame is a keyframe"),
        ((12, 50), "a keyframe every 12 to 50 frames (2 s)"),
    ],
)
def test_keyframes_are_told_as_they_came(key_frames: tuple[int, ...], words: str) -> None:
    """Their longest distance is what a restart may cost at the beginning of a recording."""
    found = facts(camera(), findings(track("H264", key_frames=key_frames)))
    assert list(lines(found))[1].endswith(words)


def test_what_a_source_does_not_declare_leaves_its_column_empty() -> None:
    """Nothing is made up."""
    bare = track("AAC", "audio", seconds=0.0, frames=1, bytes=0)
    printed = list(lines(facts(camera(), findings(bare))))
    assert printed[1] == "#   audio  AAC      0 kbit/s"


def judged(text: str, folder: Path) -> tuple[str, ...]:
    """Let `stream-manager check` judge a table within a configuration."""
    path = folder / "cameras.toml"
    path.write_text(FILE + text)
    return check(path, {"CAM_PASSWORD": "s3cret"}).lines


@pytest.mark.parametrize(
    ("target", "tracks", "record"),
    [
        (camera(), (VIDEO, SOUND), {"volumes": ["main"]}),
        (camera(transport="udp"), (VIDEO,), {"volumes": ["main"]}),
        (camera(), (VIDEO, track("PCMU", "audio")), {"volumes": ["main"], "container": "mkv"}),
        (
            Target(source=TestSource(), secrets=(), text="test:", exports=(), id="test"),
            (track("JPEG"),),
            {"volumes": ["main"], "container": "mkv"},
        ),
    ],
)
def test_the_table_is_taken_by_a_configuration(
    target: Target, tracks: tuple[TrackFindings, ...], record: dict[str, Any], tmp_path: Path
) -> None:
    """It is checked without an error or a warning, and says only what is not the default."""
    text = table(target, findings(*tracks))
    assert judged(text, tmp_path)[-1].endswith("good, 1 stream, 1 volume, 0 warnings")
    (stream,) = tomllib.loads(text)["streams"]
    assert stream["record"] == record
    assert stream.get("transport") == ("udp" if "udp" in text else None)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_any_path_is_quoted(name: str) -> None:
    """A quote or a backslash in a file's name does not end the string."""
    text = f"file:/videos/{name}"
    target = Target(source=FileSource(path=name), secrets=(), text=text, exports=(), id="x")
    (stream,) = tomllib.loads(table(target, findings(VIDEO)))["streams"]
    assert stream["source"] == text
