"""What is told of a source that was probed: its facts as plain values, and its table to paste."""

import json
from typing import Any

from stream_manager.pipelines.containers import FITS, choose
from stream_manager.pipelines.findings import Findings, TrackFindings
from stream_manager.pipelines.spec import RtspSource
from stream_manager.probe.target import Target

VOLUME = "main"


def facts(target: Target, findings: Findings) -> dict[str, Any]:
    """Return what was found; null is what the source does not declare or did not show.

    A keyframe distance is that between two keyframes, the shortest and the longest seen.
    """
    return {
        "source": target.text,
        "transport": target.source.transport if isinstance(target.source, RtspSource) else None,
        "watched_s": round(findings.seconds, 1),
        "container": choose("auto", [track.codec for track in findings.tracks]),
        "tracks": [_track(track) for track in sorted(findings.tracks, key=_video_first)],
        "export": list(target.exports),
        "toml": table(target, findings),
    }


def _video_first(track: TrackFindings) -> bool:
    return track.kind != "video"


def _track(track: TrackFindings) -> dict[str, Any]:
    distances = track.key_frames
    known = bool(distances and track.fps)
    return {
        "kind": track.kind,
        "codec": track.codec,
        "profile": track.profile,
        "width": track.width,
        "height": track.height,
        "declared_fps": None if track.declared_fps is None else round(track.declared_fps, 3),
        "fps": round(track.fps, 2) if track.kind == "video" else None,
        "keyframe_distance_frames": [min(distances), max(distances)] if known else None,
        "keyframe_distance_s": (
            [round(it / track.fps, 2) for it in (min(distances), max(distances))] if known else None
        ),
        "sample_rate_hz": track.sample_rate_hz,
        "channels": track.channels,
        "bitrate_bps": round(track.bitrate_bps),
    }


def table(target: Target, findings: Findings) -> str:
    """Return the stream's table for a configuration, with no secret in it."""
    codecs = [track.codec for track in findings.tracks]
    lines = ["[[streams]]", f"id = {_quoted(target.id)}", f"source = {_quoted(target.text)}"]
    if isinstance(target.source, RtspSource) and target.source.transport != "tcp":
        lines.append(f"transport = {_quoted(target.source.transport)}")
    record = f'record = {{ volumes = ["{VOLUME}"] }}'
    why = f'"{VOLUME}": the id of one of your [[volumes]]'
    if (container := choose("auto", codecs)) != "ts":
        foreign = " and ".join(codec for codec in codecs if codec not in FITS["ts"])
        record = f'record = {{ volumes = ["{VOLUME}"], container = "{container}" }}'
        why = f"{foreign}: not in MPEG-TS; {why}"
    return "\n".join([*lines, f"{record}  # {why}"])


def _quoted(text: str) -> str:
    """Return a TOML basic string; what JSON escapes is what TOML does, for printable texts."""
    return json.dumps(text, ensure_ascii=False)
