"""How a recorded file must look at its head and its tail, by container; media is not read."""

import os

TS_PACKET_BYTES = 188
_TS_SYNC = 0x47
_EBML, _MKV_SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MKV_UNKNOWN_SIZE = (1 << 56) - 1  # of a file whose muxer did not come to its end
_MFRO_BYTES = 16


def defect(container: str, fd: int, size: int, *, cut_off: bool) -> str | None:
    """Say what is wrong with a file, or return None; one that is `cut_off` has a head alone."""
    check = {"ts": _ts_defect, "mkv": _mkv_defect, "mp4": _mp4_defect}[container]
    return check(fd, size, cut_off)


def readable_bytes(container: str, fd: int, size: int) -> int:
    """Return how much of a file that may be cut off ends with something whole.

    A reader takes half a picture in MP4 for an error, and all that comes after for lost.
    """
    if container == "ts":
        return size - size % TS_PACKET_BYTES
    if container == "mkv":
        return size  # its readers know how to stop
    at = whole = 0
    while 0 < (length := _box_bytes(fd, at)) <= size - at:
        if os.pread(fd, 4, at + 4) != b"moof":  # that is worth nothing without its mdat
            whole = at + length
        at += length
    return whole


def _ts_defect(fd: int, size: int, cut_off: bool) -> str | None:  # noqa: FBT001 - one of a family
    if any(_byte(fd, at) != _TS_SYNC for at in (0, TS_PACKET_BYTES) if at < size):
        return "it does not begin with packets of MPEG-TS"
    if cut_off:
        return None
    if size % TS_PACKET_BYTES:
        return f"its {size} bytes are not whole packets of {TS_PACKET_BYTES}"
    if _byte(fd, size - TS_PACKET_BYTES) != _TS_SYNC:
        return "it does not end with a packet of MPEG-TS"
    return None


def _mkv_defect(fd: int, size: int, cut_off: bool) -> str | None:  # noqa: FBT001 - one of a family
    head = os.pread(fd, 12, 0)
    if head[:4] != _EBML:
        return "it does not begin as Matroska does"
    head_bytes, length_bytes = _mkv_number(head[4:])
    at = 4 + length_bytes + head_bytes
    segment = os.pread(fd, 12, at)
    if segment[:4] != _MKV_SEGMENT:
        return "no Matroska segment follows its head"
    content_bytes, length_bytes = _mkv_number(segment[4:])
    ends_at = at + 4 + length_bytes + content_bytes
    if not cut_off and content_bytes != _MKV_UNKNOWN_SIZE and ends_at != size:
        return f"it says that it has {ends_at} bytes, and has {size}"
    return None


def _mp4_defect(fd: int, size: int, cut_off: bool) -> str | None:  # noqa: FBT001 - one of a family
    if os.pread(fd, 4, 4) != b"ftyp":
        return "it does not begin as MP4 does"
    if os.pread(fd, 4, _box_bytes(fd, 0) + 4) != b"moov":
        return "it lacks the description of its tracks (moov)"
    if cut_off:
        return None
    last = os.pread(fd, _MFRO_BYTES, max(0, size - _MFRO_BYTES))
    index_at = size - int.from_bytes(last[12:])
    if last[4:8] != b"mfro" or index_at < 0 or os.pread(fd, 4, index_at + 4) != b"mfra":
        return "it does not end with the index of its fragments (mfra)"
    return None


def _byte(fd: int, at: int) -> int | None:
    found = os.pread(fd, 1, at)
    return found[0] if found else None


def _mkv_number(data: bytes) -> tuple[int, int]:
    """Return a number of variable length, and how many bytes it takes."""
    first = data[0] if data else 0
    length = 9 - first.bit_length()
    return int.from_bytes(data[:length]) & ((1 << 7 * length) - 1), length


def _box_bytes(fd: int, at: int) -> int:
    """Return the length of the box at an offset, 0 where there is none."""
    head = os.pread(fd, 16, at)
    if len(head) < 8:
        return 0
    length = int.from_bytes(head[:4])
    return int.from_bytes(head[8:16]) if length == 1 else length
