"""A client that speaks RTSP by hand and looks at every RTP packet: it shares no code with ours."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

DEADLINE_S = 30.0
KEY_TYPES = {5, 7, 8}  # NAL units: IDR slice, SPS, PPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One RTP packet, and the wall time at which it arrived."""

    at_s: float
    channel: int
    sequence: int
    timestamp: int
    payload: bytes

    @property
    def is_video(self) -> bool:
        """Whether it belongs to the first track."""
        return self.channel == 0

    @property
    def nals(self) -> list[bytes]:
        """The NAL units that begin in an H.264 payload; one that is spread begins with its header.

        They are single, in a STAP-A, or begin with the first FU-A.
        """
        kind = self.payload[0] & 0x1F
        if kind == 28:
            starts = self.payload[1] & 0x80
            return [bytes([self.payload[1] & 0x1F])] if starts else []
        if kind != 24:
            return [self.payload]
        found, rest = [], self.payload[1:]
        while rest:
            size = int.from_bytes(rest[:2], "big")
            found.append(rest[2 : 2 + size])
            rest = rest[2 + size :]
        return found

    @property
    def nal_types(self) -> set[int]:
        """The kinds of those NAL units."""
        return {nal[0] & 0x1F for nal in self.nals}


class Conversation:
    """One connection, its media interleaved."""

    def __init__(self, url: str) -> None:
        self.url = url
        found = re.fullmatch(r"rtsp://\[?([^\]/]+?)\]?:(\d+)/.*", url)
        assert found is not None
        self.socket = socket.create_connection((found[1], int(found[2])), timeout=DEADLINE_S)
        self._sequence = 0
        self._received = b""
        self.session = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, method: str, *headers: str, path: str = "") -> str:
        """Send a request and return its answer."""
        self._sequence += 1
        lines = [f"{method} {self.url}{path} RTSP/1.0", f"CSeq: {self._sequence}", *headers]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while True:
            if self._peek(1) == b"$":
                self._frame()
                continue
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self._take(1)
            length = re.search(rb"Content-Length: (\d+)", head)
            return (head + self._take(int(length[1]) if length else 0)).decode()

    def describe(self) -> str:
        """Return the answer to DESCRIBE, with the SDP."""
        return self.ask("DESCRIBE", "Accept: application/sdp")

    def setup(self, track: int) -> str:
        """Return the answer to SETUP of a track."""
        transport = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
        session = [f"Session: {self.session}"] if self.session else []
        answer = self.ask("SETUP", f"Transport: {transport}", *session, path=f"/stream={track}")
        if found := re.search(r"Session: ([^;\r]+)", answer):
            self.session = found[1]
        return answer

    def play(self) -> Self:
        """Let everything flow."""
        for track in range(self.describe().count("\r\nm=")):
            assert " 200 " in self.setup(track)
        assert " 200 " in self.ask("PLAY", f"Session: {self.session}")
        return self

    def packets(self) -> Iterator[Packet]:
        """Yield RTP packets, both tracks, to the end of the connection."""
        while self._peek(1):
            channel, data = self._frame()
            if channel % 2 == 0:
                assert data[0] == 0x80
                yield Packet(
                    at_s=time.time(),
                    channel=channel,
                    sequence=int.from_bytes(data[2:4], "big"),
                    timestamp=int.from_bytes(data[4:8], "big"),
                    payload=data[12:],
                )

    def until(self, wanted: Callable[[Packet], bool]) -> list[Packet]:
        """Return the packets up to the first that is wanted."""
        seen = []
        for packet in self.packets():
            seen.append(packet)
            if wanted(packet):
                return seen
        raise AssertionError(f"the connection ended after {len(seen)} packets")

    def until_video(self, count: int) -> list[Packet]:
        """Return the packets up to the last of so many pictures' packets."""
        left = iter(range(count - 1, -1, -1))
        return self.until(lambda packet: packet.is_video and next(left) == 0)

    def read_to_end(self) -> None:
        """Return at the end of the connection; raises TimeoutError when nothing comes."""
        while self.socket.recv(65536):
            pass

    def _frame(self) -> tuple[int, bytes]:
        head = self._take(4)
        assert head[:1] == b"$", head
        return head[1], self._take(int.from_bytes(head[2:], "big"))

    def _peek(self, count: int) -> bytes:
        while len(self._received) < count:
            received = self.socket.recv(65536)
            if not received:
                return b""
            self._received += received
        return self._received[:count]

    def _take(self, count: int) -> bytes:
        taken = self._peek(count)
        assert len(taken) == count, "the connection ended"
        self._received = self._received[count:]
        return taken
