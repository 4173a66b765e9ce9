"""One viewer's connection: its way to the target and back, and how it ends."""

import asyncio
import select
import socket
import struct
from contextlib import closing

from stream_manager.lab.network.gateway import Gateway
from stream_manager.lab.network.lane import Lane, Reset
from stream_manager.lab.network.link import Link
from stream_manager.lab.network.listener import RECEIVE_BUFFER_BYTES
from stream_manager.lab.network.witness import Witness

AT_ONCE = struct.pack("ii", 1, 0)  # struct linger: closing resets


async def carry(
    viewer: socket.socket, *, target: tuple[str, int], link: Link, witness: Witness
) -> None:
    """Carry a viewer's connection to the target and back, until both have ended.

    If the target can't be reached the viewer's connection is reset. The viewer's socket is closed
    in the end.
    """
    with closing(viewer):
        try:
            await link.answers()
            with closing(await _connect(*target)) as there:
                await _carry(viewer, there, link, witness)
        except* Reset:
            _reset(viewer)
        except* OSError as errors:  # it can't be reached, or there are no ports for its media
            witness.met(_first(errors))
            _reset(viewer)
        finally:
            witness.ended()


async def _carry(
    viewer: socket.socket, target: socket.socket, link: Link, witness: Witness
) -> None:
    for it in (viewer, target):  # what is held back is held back by the link alone
        it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def media() -> None:
        # After a cut, what was held back still goes to viewers that have left meanwhile.
        if not hang_up.poll(0):
            witness.media()

    hang_up = select.poll()
    hang_up.register(viewer, select.POLLRDHUP)
    with closing(Gateway(viewer, target, link=link, on_media=media)) as gateway:
        to_target = Lane(
            viewer,
            target,
            link=link,
            bottleneck=link.to_target,
            translator=gateway.requests,
            on_media=media,
        )
        to_viewer = Lane(
            target,
            viewer,
            link=link,
            bottleneck=link.to_viewer,
            translator=gateway.answers,
            on_media=media,
        )
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(to_target.run(to_viewer))
                lanes.create_task(to_viewer.run(to_target))
        except BaseExceptionGroup:
            _reset(target)
            raise


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    last_error: OSError | None = None
    for family, kind, protocol, _, address in found:
        target = socket.socket(family, kind, protocol)
        try:
            target.setblocking(False)
            target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            await loop.sock_connect(target, address)
        except OSError as error:
            target.close()
            last_error = error
        except BaseException:
            target.close()
            raise
        else:
            return target
    assert last_error is not None
    raise last_error


def _first(errors: BaseExceptionGroup[OSError]) -> OSError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _reset(it: socket.socket) -> None:
    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
