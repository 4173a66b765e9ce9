from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.lab.network import transport
from stream_manager.lab.network.rtsp import Reader

SETUP = (
    b"SETUP rtsp://127.0.0.1:8554/cam/stream=0 RTSP/1.0\r\nCSeq: 3\r\n"
    b"Transport: RTP/AVP;unicast;client_port=5000-5001\r\n\r\n"
)
SDP = b"v=0\r\n\r\nSETUP rtsp://in-the-body RTSP/1.0\r\n\r\n"
ANSWER = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-length: %d\r\n\r\n" % len(SDP)
MEDIA = b"$\x00\x00\x0cRTSP/1.0 200"
REPORT = b"$\x01\x00\x04\r\n\r\n"


class Heard:
    """A reader that keeps what it was told, and puts "+" before each head."""

    def __init__(self, *, listens: bool = True) -> None:
        self.heads: list[bytes] = []
        self.frames: list[int] = []
        self.reader = Reader(self._head, self._frame, listens=listens)

    def _head(self, head: bytes) -> bytes:
        self.heads.append(head)
        return b"+" + head

    def _frame(self, channel: int) -> bool:
        self.frames.append(channel)
        return channel == 0

    def feed_all(self, *pieces: bytes) -> bytes:
        """Feed piece by piece; return all that was passed on, to the end."""
        passed = b"".join(self.reader.feed(piece)[0] for piece in pieces)
        return passed + self.reader.rest()


@given(st.lists(st.sampled_from([SETUP, ANSWER + SDP, MEDIA, REPORT, b"\r\n"])), st.data())
def test_heads_and_frames_are_found_however_they_are_cut(
    parts: list[bytes], data: st.DataObject
) -> None:
    """Any cutting gives the same heads and frames, and bodies are never looked into."""
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    edges = [0, *cuts, len(whole)]
    heard = Heard()
    passed = heard.feed_all(*(whole[start:end] for start, end in pairwise(edges)))
    marked = {SETUP: b"+" + SETUP, ANSWER + SDP: b"+" + ANSWER + SDP}
    assert passed == b"".join(marked.get(part, part) for part in parts)
    assert heard.heads == [part.removesuffix(SDP) for part in parts if part in marked]
    assert heard.frames == [part[1] for part in parts if part in (MEDIA, REPORT)]


@given(st.lists(st.binary()))
def test_what_is_no_rtsp_passes_untouched(pieces: list[bytes]) -> None:
    """Any bytes come out as they went in, whatever they begin with."""
    heard = Heard()
    heard.reader = Reader(lambda head: head, lambda _: False, listens=True)
    assert heard.feed_all(*pieces) == b"".join(pieces)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"hello", b"\x16\x03\x01", b"SEN"])
def test_another_protocol_is_not_held_up(first: bytes) -> None:
    """What can't become RTSP any more is passed on at once, and nothing later is looked at."""
    heard = Heard()
    assert heard.reader.feed(first) == (first, False)
    assert heard.reader.feed(SETUP) == (SETUP, False)
    assert heard.heads == []


def test_http_that_begins_like_rtsp_is_left_alone() -> None:
    """OPTIONS is a method of both: the protocol at the line's end tells them apart."""
    head = b"OPTIONS * HTTP/1.1\r\nHost: cam\r\n\r\n"
    heard = Heard()
    assert heard.feed_all(head, SETUP) == head + SETUP


def test_a_head_without_end_is_passed_on_in_the_end() -> None:
    """No sender makes the proxy hold more than 64 KiB back."""
    heard = Heard()
    endless = b"SETUP " + b"x" * 70000
    assert heard.reader.feed(endless) == (endless, False)


def test_a_server_is_heard_once_its_viewer_has_spoken_rtsp() -> None:
    """Until then its bytes pass at once: they may be anything."""
    heard = Heard(listens=False)
    assert heard.reader.feed(b"RT") == (b"RT", False)
    heard.reader.listen()
    assert heard.reader.feed(ANSWER) == (b"+" + ANSWER, False)


def test_media_is_told_from_reports() -> None:
    """A frame on a channel of media counts as such, one of RTCP does not."""
    heard = Heard()
    assert heard.reader.feed(MEDIA) == (MEDIA, True)
    assert heard.reader.feed(REPORT) == (REPORT, False)


def test_only_the_field_changes() -> None:
    """Other fields, their order and their spelling stay as the viewer wrote them."""
    head = "SETUP rtsp://x RTSP/1.0\r\ncseq:7\r\nTRANSPORT :  RTP/AVP;a\r\nX: y\r\n\r\n"
    assert transport.field(head, "CSeq") == "7"
    assert transport.with_field(head, "Transport", r"\1") == head.replace("RTP/AVP;a", r"\1")


def test_only_the_parameters_change() -> None:
    """Parameters that are not there are not added, and those without a value stay."""
    granted = "RTP/AVP;unicast;client_port=1-2;Server_Port=3-4;ssrc=AB;mode=play"
    values = {"client_port": "5-6", "server_port": "7-8", "source": "::1", "unicast": "no"}
    assert transport.with_parameters(granted, values) == (
        "RTP/AVP;unicast;client_port=5-6;Server_Port=7-8;ssrc=AB;mode=play"
    )


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("5000-5001", (5000, 5001)),
        ("5000", (5000, 5001)),
        ("0-1", (0, 1)),
        ("65535", None),
        ("70000-70001", None),
        ("a-b", None),
        ("", None),
        (None, None),
    ],
)
def test_pairs_are_read_as_viewers_write_them(
    text: str | None, pair: tuple[int, int] | None
) -> None:
    """A single number means itself and the next; what is no pair is none."""
    assert transport.numbers(text) == pair
