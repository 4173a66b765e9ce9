import os
from pathlib import Path

import pytest
from tests.unit.library import TS

from stream_manager.recordings.structure import defect, readable_bytes

MKV = b"\x1a\x45\xdf\xa3\x81\x00" + b"\x18\x53\x80\x67\x01" + (20).to_bytes(7) + bytes(20)
MKV_UNFINISHED = MKV[:11] + b"\xff" * 7 + MKV[18:]


def box(kind: bytes, content: bytes = b"") -> bytes:
    """Return an MP4 box."""
    return (8 + len(content)).to_bytes(4) + kind + content


HEAD = box(b"ftyp", b"iso5") + box(b"moov", bytes(30))
FRAGMENT = box(b"moof", bytes(20)) + box(b"mdat", bytes(100))
INDEX = box(b"mfra", box(b"mfro", bytes(4) + (24).to_bytes(4)))
MP4 = HEAD + FRAGMENT + FRAGMENT + INDEX


def opened(tmp_path: Path, data: bytes) -> int:
    """Return a descriptor of a file with this data."""
    path = tmp_path / "file"
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


@pytest.mark.parametrize(
    ("container", "data", "said"),
    [
        ("ts", TS, None),
        ("ts", b"x" + TS[1:], "does not begin"),
        ("ts", TS[:-1], "not whole packets"),
        ("ts", TS[:-188] + bytes(188), "does not end"),
        ("mkv", MKV, None),
        ("mkv", MKV_UNFINISHED, None),
        ("mkv", b"", "does not begin"),
        ("mkv", bytes(40), "does not begin"),
        ("mkv", MKV[:6] + bytes(20), "no Matroska segment"),
        ("mkv", MKV + b"x", "says that it has"),
        ("mp4", MP4, None),
        ("mp4", bytes(60), "does not begin"),
        ("mp4", box(b"ftyp", b"iso5") + FRAGMENT, "moov"),
        ("mp4", HEAD + FRAGMENT, "does not end"),
        ("mp4", HEAD + box(b"mfra", box(b"mfro", bytes(4) + b"\xff" * 4)), "does not end"),
    ],
)
def test_heads_and_tails(tmp_path: Path, container: str, data: bytes, said: str | None) -> None:
    """Each container is known by how it begins and ends, and each defect is named."""
    fd = opened(tmp_path, data)
    found = defect(container, fd, len(data), cut_off=False)
    assert (found is None) if said is None else (found is not None and said in found)
    os.close(fd)


@pytest.mark.parametrize(
    ("container", "data"), [("ts", TS[:-1]), ("mkv", MKV[:-5]), ("mp4", HEAD + FRAGMENT[:50])]
)
def test_what_is_cut_off_needs_a_head_alone(tmp_path: Path, container: str, data: bytes) -> None:
    """A file whose writer was killed is no error."""
    fd = opened(tmp_path, data)
    assert defect(container, fd, len(data), cut_off=True) is None
    os.close(fd)


@pytest.mark.parametrize(
    ("container", "data", "readable"),
    [
        ("ts", TS, len(TS)),
        ("ts", TS + b"G", len(TS)),
        ("mkv", MKV[:-5], len(MKV) - 5),
        ("mp4", MP4, len(MP4)),
        ("mp4", HEAD + FRAGMENT + FRAGMENT[:60], len(HEAD + FRAGMENT)),
        ("mp4", HEAD + FRAGMENT + box(b"moof", bytes(20)), len(HEAD + FRAGMENT)),
        ("mp4", b"", 0),
    ],
)
def test_what_can_be_read_ends_with_something_whole(
    tmp_path: Path, container: str, data: bytes, readable: int
) -> None:
    """Half a packet and half a fragment are left out."""
    fd = opened(tmp_path, data)
    assert readable_bytes(container, fd, len(data)) == readable
    os.close(fd)
