from stream_manager.lab.packets import garbled, shifted

PLAIN = bytes([0x80, 0x60, 1, 2, 0, 0, 0, 5, 9, 9, 9, 9]) + b"payload"
# Two contributing sources, and an extension of one word.
LONG = bytes([0x92, 0x60, 1, 2, 0, 0, 0, 5, 9, 9, 9, 9]) + b"csrccsrc" + b"\0\0\0\1word" + b"load"


def test_a_leap_moves_the_timestamp_alone() -> None:
    """Forward, and back past zero, where the 32 bits wrap."""
    assert shifted(PLAIN, 90000) == PLAIN[:4] + (90005).to_bytes(4, "big") + PLAIN[8:]
    assert shifted(PLAIN, -6) == PLAIN[:4] + b"\xff\xff\xff\xff" + PLAIN[8:]


def test_garbage_spares_the_whole_header() -> None:
    """Also one with sources and an extension; the length stays."""
    assert garbled(PLAIN, lambda size: b"x" * size) == PLAIN[:12] + b"xxxxxxx"
    assert garbled(LONG, lambda size: b"x" * size) == LONG[:-4] + b"xxxx"
