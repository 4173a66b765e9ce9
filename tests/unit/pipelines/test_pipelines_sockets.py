"""Sockets at any path, private from their first moment."""

import stat
from pathlib import Path

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
