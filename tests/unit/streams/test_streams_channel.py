"""Packets between processes: whole messages or a connection that is over, and nothing blocks."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine

import msgspec
import pytest

from stream_manager.pipelines.messages import (
    MAX_PACKET_BYTES,
    FromForkServer,
    Quit,
    Spawned,
    encode,
)
from stream_manager.streams.channel import Channel
from stream_manager.testing import settle

MESSAGE = Spawned(stream="cam", epoch=1, pid=42)
Peer = socket.socket


class Ears:
    """Keeps what a channel says."""

    def __init__(self) -> None:
        self.heard: list[FromForkServer] = []
        self.fds: list[int] = []
        self.closed: list[str] = []

    def channel(self, connection: socket.socket) -> Channel[FromForkServer]:
        """Return a channel over `connection` that tells us."""
        return Channel(
            connection,
            msgspec.msgpack.Decoder(FromForkServer),
            on_message=self._hear,
            on_closed=self.closed.append,
        )

    def _hear(self, message: FromForkServer, fds: list[int]) -> None:
        self.heard.append(message)
        self.fds += fds


Script = Callable[[Channel[FromForkServer], Peer, Ears], Coroutine[None, None, None]]


def connected(script: Script) -> None:
    """Run a script with a channel, the socket at its other end, and what it said."""

    async def run() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ears = Ears()
            channel = ears.channel(ours)
            try:
                await script(channel, theirs, ears)
            finally:
                channel.close()

    asyncio.run(run())


def test_messages_arrive_whole_and_in_order_with_their_descriptors() -> None:
    """One packet is one message; a descriptor beside it is the receiver's."""

    async def script(_: Channel[FromForkServer], peer: Peer, ears: Ears) -> None:
        read_fd, write_fd = os.pipe()
        socket.send_fds(peer, [encode(MESSAGE)], [write_fd])
        os.close(write_fd)
        second = Spawned(stream="cam", epoch=2, pid=43)
        peer.send(encode(second))
        await settle()
        assert ears.heard == [MESSAGE, second]
        (received,) = ears.fds
        os.write(received, b"!")
        assert os.read(read_fd, 1) == b"!"
        os.close(received)
        os.close(read_fd)

    connected(script)


def test_a_closed_peer_is_told_once() -> None:
    """What it said before is heard first; nothing can be sent afterwards."""

    async def script(channel: Channel[FromForkServer], peer: Peer, ears: Ears) -> None:
        peer.send(encode(MESSAGE))
        peer.close()
        await settle()
        assert ears.heard == [MESSAGE]
        assert len(ears.closed) == 1
        assert not channel.open
        assert not channel.send(Quit(grace_s=1.0))

    connected(script)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"\xc1 what is this", "MessagePack data is malformed"),
        (encode(MESSAGE) + bytes(MAX_PACKET_BYTES), f"of more than {MAX_PACKET_BYTES} bytes"),
    ],
)
def test_garbage_ends_the_connection(packet: bytes, why: str) -> None:
    """A peer that says what is too long or can't be decoded is no peer; nothing raises."""

    async def script(channel: Channel[FromForkServer], peer: Peer, ears: Ears) -> None:
        peer.send(packet)
        peer.send(encode(MESSAGE))
        await settle()
        assert ears.heard == []
        (told,) = ears.closed
        assert why in told
        assert not channel.open

    connected(script)


def test_a_peer_that_does_not_read_blocks_nobody() -> None:
    """A full buffer refuses the message at once, and the connection lives on."""

    async def script(channel: Channel[FromForkServer], peer: Peer, ears: Ears) -> None:
        sent = 0
        while channel.send(Quit(grace_s=1.0)):
            sent += 1
        assert sent > 0
        assert channel.open
        for _ in range(sent):
            peer.recv(65536)
        assert channel.send(Quit(grace_s=1.0))
        assert ears.closed == []

    connected(script)


def test_closing_tells_nobody() -> None:
    """on_closed is for what the other side does; a second close does nothing."""

    async def script(channel: Channel[FromForkServer], peer: Peer, ears: Ears) -> None:
        channel.close()
        channel.close()
        await settle()
        assert ears.closed == []
        assert peer.recv(1) == b""

    connected(script)
