"""Sockets at any path, private from their first moment, for one peer of our own user."""

import os
import socket
import stat
from pathlib import Path

import pytest

from stream_manager.pipelines import sockets


def test_a_path_of_any_length_works(tmp_path: Path) -> None:
    """Two ends meet at a path longer than the 107 bytes of a sockaddr."""
    directory = tmp_path / ("d" * 120)
    directory.mkdir()
    path = str(directory / "cam.sock")
    with sockets.listen(path) as listener, sockets.connect(path) as near:
        far, _ = listener.accept()
        with far:
            near.send(b"packet")
            assert far.recv(100) == b"packet"


def test_a_stale_socket_is_replaced_and_private(tmp_path: Path) -> None:
    """Listening where a dead process listened works; nobody else may connect."""
    path = tmp_path / "cam.sock"
    sockets.listen(str(path)).close()
    with sockets.listen(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_end_knows_the_other_ones_user(tmp_path: Path) -> None:
    """The kernel tells whose process connected and whose listens."""
    path = str(tmp_path / "cam.sock")
    with sockets.listen(path) as listener, sockets.connect(path) as near:
        far = sockets.accept(listener, None)
        assert far is not None
        with far:
            assert sockets.peer_uid(near) == sockets.peer_uid(far) == os.geteuid()


def test_a_foreign_user_is_refused_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells a foreign listener anything, and no foreign peer is served."""
    path = str(tmp_path / "cam.sock")
    with sockets.listen(path) as listener, sockets.connect(path) as near:
        monkeypatch.setattr(sockets, "peer_uid", lambda _: os.geteuid() + 1)
        assert sockets.accept(listener, None) is None
        assert near.recv(100) == b""
        with pytest.raises(PermissionError, match="listens here"):
            sockets.connect(path)


def test_a_living_peer_keeps_its_place(tmp_path: Path) -> None:
    """A newcomer is refused until the peer before it has closed, whatever that one left unread."""
    path = str(tmp_path / "cam.sock")
    with sockets.listen(path) as listener:
        first = sockets.connect(path)
        present = sockets.accept(listener, None)
        assert present is not None
        with present:
            with first, sockets.connect(path) as refused:
                first.send(b"an order")
                assert sockets.accept(listener, present) is None
                assert refused.recv(100) == b""
            with sockets.connect(path):
                newer = sockets.accept(listener, present)
                assert isinstance(newer, socket.socket)
                newer.close()
