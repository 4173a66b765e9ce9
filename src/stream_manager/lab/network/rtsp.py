"""Reads along where RTSP is spoken: heads of messages and media frames, told from all the rest.

Whatever is not understood is passed on as it came, and from there on everything is.
"""

import re
from collections.abc import Callable

FRAME = ord("$")
FRAME_HEADER_BYTES = 4
HEAD_END = b"\r\n\r\n"
HEAD_MAX_BYTES = 65536
RESPONSE = b"RTSP/1."
REQUESTS = (
    *(b"OPTIONS ", b"DESCRIBE ", b"ANNOUNCE ", b"SETUP ", b"PLAY ", b"PAUSE ", b"TEARDOWN "),
    *(b"GET_PARAMETER ", b"SET_PARAMETER ", b"RECORD ", b"REDIRECT "),
)
_FIRST_LINE = re.compile(rb"RTSP/1\.\d \d{3}|[A-Z_]+ \S+ RTSP/1\.\d\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)


class Reader:
    """One direction of a connection, read along.

    on_head: is given each message's head, first line to empty line, and returns it as it is to be
        passed on. on_frame: is given the channel of each frame of interleaved media, and tells
        whether that is one of media.
    """

    def __init__(
        self, on_head: Callable[[bytes], bytes], on_frame: Callable[[int], bool], *, listens: bool
    ) -> None:
        self._on_head = on_head
        self._on_frame = on_frame
        self._listens = listens
        self._held = b""
        self._untouched_bytes = 0  # of the body or the frame that has begun

    def listen(self) -> None:
        """Read along from here on: the other side has spoken RTSP."""
        self._listens = True

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Take what was received; return what to pass on, and whether media is in it."""
        self._held += data
        out, media = [], False
        while self._held:
            if self._untouched_bytes or not self._listens:
                out.append(self._pass())
            elif self._held[0] == FRAME:
                if len(self._held) < FRAME_HEADER_BYTES:
                    break
                media |= self._on_frame(self._held[1])
                size = int.from_bytes(self._held[2:FRAME_HEADER_BYTES], "big")
                self._untouched_bytes = FRAME_HEADER_BYTES + size
            elif self._held[0] in b"\r\n":  # between messages it means nothing
                self._untouched_bytes = 1
            elif not _may_begin_head(self._held) or len(self._held) > HEAD_MAX_BYTES:
                self._listens = False
            elif HEAD_END not in self._held:
                break
            else:
                out.append(self._head())
        return b"".join(out), media

    def rest(self) -> bytes:
        """Return what is still held back, at the sender's end."""
        rest, self._held = self._held, b""
        return rest

    def _pass(self) -> bytes:
        size = self._untouched_bytes if self._listens else len(self._held)
        passed, self._held = self._held[:size], self._held[size:]
        self._untouched_bytes -= min(self._untouched_bytes, len(passed))
        return passed

    def _head(self) -> bytes:
        head, end, self._held = self._held.partition(HEAD_END)
        head += end
        if not _FIRST_LINE.match(head):
            self._listens = False
            return head
        length = _LENGTH.search(head)
        self._untouched_bytes = int(length[1]) if length else 0
        return self._on_head(head)


def _may_begin_head(data: bytes) -> bool:
    return any(data[: len(word)] == word[: len(data)] for word in (RESPONSE, *REQUESTS))
