"""A camera that refuses every password, and counts who tries one."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class LockedCamera(socketserver.ThreadingTCPServer):
    """An RTSP server that refuses every password, and counts who comes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refusal)
        self.visits = 0
        self.guesses = 0

    @property
    def url(self) -> str:
        """Return its address, with a password that it refuses."""
        return f"rtsp://viewer:wrong@127.0.0.1:{self.server_address[1]}/live"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Answer whoever comes."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class _Refusal(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, LockedCamera)
        self.server.visits += 1
        request = b""
        for line in self.rfile:
            request += line
            if line.strip():
                continue
            self.server.guesses += b"authorization:" in request.lower()
            number = re.search(rb"(?i)^cseq: *(\d+)", request, re.MULTILINE)
            answer = b"401 Unauthorized", b'WWW-Authenticate: Basic realm="camera"'
            if request.startswith(b"OPTIONS"):
                answer = b"200 OK", b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
            cseq = number[1] if number else b"0"
            self.wfile.write(
                b"RTSP/1.0 %s\r\nCSeq: %s\r\n%s\r\n\r\n" % (answer[0], cseq, answer[1])
            )
            request = b""
