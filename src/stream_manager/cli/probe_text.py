"""The facts of a probe as lines of TOML: comments in columns, then the table."""

from collections.abc import Iterator
from typing import Any

from stream_manager.cli.words import bit_rate, plain

Json = dict[str, Any]


def lines(facts: Json) -> Iterator[str]:
    """Yield what to print; all of it may be appended to a configuration."""
    over = f" over {facts['transport']}" if facts["transport"] else ""
    yield plain(f"# {facts['source']}, watched for {facts['watched_s']:g} s{over}")
    rows = [_row(track) for track in facts["tracks"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield plain(f"#   {'  '.join(cells)}".rstrip())
    for variable in facts["export"]:
        yield f"# before it is run: export {variable}='…', the secret as it is, not percent-encoded"
    yield ""
    yield plain_block(facts["toml"])


def plain_block(text: str) -> str:
    """Return lines without control characters."""
    return "\n".join(map(plain, text.splitlines()))


def _row(track: Json) -> tuple[str, ...]:
    codec = " ".join(filter(None, (track["codec"], _profile(track["profile"]))))
    rate = bit_rate(track["bitrate_bps"])
    if track["kind"] == "audio":
        channels = track["channels"]
        many = "" if channels is None else f"{channels} channel{'s' if channels != 1 else ''}"
        hertz = f"{track['sample_rate_hz']} Hz" if track["sample_rate_hz"] else ""
        return "audio", codec, many, hertz, rate, ""
    size = f"{track['width']}x{track['height']}" if track["width"] and track["height"] else ""
    return "video", codec, size, f"{track['fps']:.1f} frames/s", rate, _keyframes(track)


def _profile(profile: str | None) -> str:
    return f"({profile})" if profile else ""


def _keyframes(track: Json) -> str:
    frames, seconds = track["keyframe_distance_frames"], track["keyframe_distance_s"]
    if frames is None:
        return "no second keyframe came"
    if frames == [1, 1]:
        return "every frame is a keyframe"
    number = f"{frames[0]}" if frames[0] == frames[1] else f"{frames[0]} to {frames[1]}"
    return f"a keyframe every {number} frames ({seconds[1]:g} s)"
