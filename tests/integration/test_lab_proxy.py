import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from tests.integration.waiting import wait_for

from stream_manager.errors import UsageError
from stream_manager.lab.network.facts import ConnectionFact, ReadyFact
from stream_manager.lab.network.faults import NETWORK_FAULTS
from stream_manager.lab.proxy import Proxy
from stream_manager.lab.record import FaultFact, Phase

pytestmark = pytest.mark.media

COMMAND = str(Path(sys.executable).with_name("stream-manager"))
DEADLINE_S = 30.0
SILENCE_S = 0.5
LITTLE_BYTES = 65536
PATTERN = bytes(range(256)) * 1024


class Ends:
    """A viewer's socket and, once asked for, the one at which the server has accepted it."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self._listener = listener
        self.viewer = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.server, _ = listener.accept()
        self.server.settimeout(DEADLINE_S)

    def close(self) -> None:
        """Close both."""
        self.viewer.close()
        self.server.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Give the server's listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(DEADLINE_S)
        yield listening


@pytest.fixture
def proxy(listener: socket.socket) -> Iterator[Proxy]:
    """Give a perfect network in front of that server."""
    with Proxy(to=f"127.0.0.1:{listener.getsockname()[1]}") as running:
        yield running


@pytest.fixture
def ends(listener: socket.socket, proxy: Proxy) -> Iterator[Ends]:
    """Give a connection through the network."""
    with closing(Ends(listener, proxy.port)) as connected:
        yield connected


def receive(it: socket.socket, size: int) -> bytes:
    """Return that many bytes."""
    received = b""
    while len(received) < size:
        more = it.recv(size - len(received))
        assert more, f"ended after {len(received)} bytes"
        received += more
    return received


def says_nothing(it: socket.socket) -> bool:
    """Tell whether neither bytes nor an end come for a while."""
    return not select.select([it], [], [], SILENCE_S)[0]


@contextmanager
def command(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command in front of nothing; it does not outlive the test."""
    with subprocess.Popen(
        [COMMAND, "lab", "proxy", "--listen", "0", "--to", "9", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def reset(it: socket.socket) -> None:
    """End a connection at once."""
    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    it.close()


def test_bytes_and_ends_pass_as_they_are(ends: Ends) -> None:
    """Both ways all bytes arrive, and one side may end its sending and still listen."""
    ends.viewer.sendall(PATTERN)
    assert receive(ends.server, len(PATTERN)) == PATTERN
    ends.viewer.shutdown(socket.SHUT_WR)
    assert ends.server.recv(1) == b""
    ends.server.sendall(PATTERN)
    assert receive(ends.viewer, len(PATTERN)) == PATTERN
    ends.server.close()
    assert ends.viewer.recv(1) == b""


def test_a_reset_arrives_as_a_reset(ends: Ends) -> None:
    """The other side learns that it was no orderly end."""
    reset(ends.server)
    with pytest.raises(ConnectionResetError):
        ends.viewer.recv(1)


def test_a_sender_learns_that_its_receiver_is_gone(ends: Ends) -> None:
    """Who sends to a closed end is reset, as it would be without a proxy."""
    ends.viewer.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(1000):
            ends.server.sendall(PATTERN)
        pytest.fail("it could send as much as it liked")


def test_latency_holds_everything_that_long_each_way(ends: Ends, proxy: Proxy) -> None:
    """A round trip takes both ways' latency."""
    proxy.order("latency by=200ms")
    began_s = time.monotonic()
    ends.viewer.sendall(b"ping")
    assert receive(ends.server, 4) == b"ping"
    ends.server.sendall(b"pong")
    assert receive(ends.viewer, 4) == b"pong"
    assert time.monotonic() - began_s >= 0.4


def test_a_link_that_gets_faster_keeps_a_connection_in_order(ends: Ends, proxy: Proxy) -> None:
    """What is sent over the shorter way does not overtake what still is on the longer one."""
    for number in range(20):
        proxy.order(f"latency by={5 * (number % 3)}ms")
        ends.viewer.sendall(bytes([number]))
    assert list(receive(ends.server, 20)) == list(range(20))


def test_jitter_keeps_a_connection_in_order(ends: Ends, proxy: Proxy) -> None:
    """Bytes that travel for different times still arrive in the order in which they were sent."""
    proxy.order("jitter up-to=20ms")
    for number in range(100):
        ends.viewer.sendall(bytes([number]))
        proxy.order("jitter up-to=20ms")  # so that the bytes come in one by one
    assert list(receive(ends.server, 100)) == list(range(100))


def test_a_slow_link_takes_its_time_and_lets_the_sender_wait(ends: Ends, proxy: Proxy) -> None:
    """Bytes pass at the rate, the sender's socket fills meanwhile, and in the end all arrive."""
    ends.viewer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LITTLE_BYTES)
    proxy.order("rate limit=200kbit/s")
    began_s = time.monotonic()
    ends.viewer.setblocking(False)
    sent = 0
    while select.select([], [ends.viewer], [], SILENCE_S)[1]:
        sent += ends.viewer.send(PATTERN[sent % 256 :][:LITTLE_BYTES])
        assert sent < 20 * LITTLE_BYTES, "the sender was never made to wait"
    receive(ends.server, 25_000)
    assert time.monotonic() - began_s >= 0.9  # 200,000 bits, less one portion
    proxy.order("heal rate")
    assert len(receive(ends.server, sent - 25_000)) == sent - 25_000


def test_a_viewer_that_does_not_read_makes_the_server_wait(ends: Ends) -> None:
    """The proxy holds a bounded amount and no more."""
    ends.server.setblocking(False)
    sent = 0
    while select.select([], [ends.server], [], SILENCE_S)[1]:
        sent += ends.server.send(PATTERN)
        assert sent < 200 * len(PATTERN), "the sender was never made to wait"


def test_a_cut_connection_is_silent_and_goes_on_where_it_was(ends: Ends, proxy: Proxy) -> None:
    """Neither bytes nor the end pass; afterwards they do, and none is missing."""
    proxy.order("cut")
    ends.viewer.sendall(b"before the end")
    ends.viewer.shutdown(socket.SHUT_WR)
    assert says_nothing(ends.server)
    proxy.order("heal")
    assert receive(ends.server, 14) == b"before the end"
    assert ends.server.recv(1) == b""


def test_who_connects_over_a_cut_network_is_not_heard(
    proxy: Proxy, listener: socket.socket
) -> None:
    """The connection is not even accepted; who goes on trying gets in afterwards."""
    proxy.order("cut")
    with socket.socket() as hasty:
        hasty.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            hasty.connect(("127.0.0.1", proxy.port))
    with socket.socket() as patient:
        patient.setblocking(False)
        patient.connect_ex(("127.0.0.1", proxy.port))
        assert not select.select([], [patient], [], SILENCE_S)[1]
        proxy.order("heal")
        assert select.select([], [patient], [], DEADLINE_S)[1]
        patient.sendall(b"hello")
        with closing(listener.accept()[0]) as server:
            server.settimeout(DEADLINE_S)
            assert receive(server, 5) == b"hello"


def test_a_network_can_be_cut_again_and_again(ends: Ends, proxy: Proxy) -> None:
    """After each cut both present connections and new ones work."""
    for _ in range(3):
        proxy.order("cut")
        proxy.order("heal cut")
        ends.viewer.sendall(b"x")
        assert receive(ends.server, 1) == b"x"
        with closing(Ends(ends._listener, proxy.port)) as new:
            new.server.sendall(b"y")
            assert receive(new.viewer, 1) == b"y"


def test_half_open_accepts_and_never_answers(
    ends: Ends, proxy: Proxy, listener: socket.socket
) -> None:
    """Present connections end for both sides; new ones are accepted, and nothing comes."""
    proxy.order("half-open")
    assert ends.viewer.recv(1) == b""
    assert ends.server.recv(1) == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_S) as new:
        new.sendall(b"anyone?")
        assert says_nothing(new)
        assert says_nothing(listener)
        proxy.order("heal")
        with closing(listener.accept()[0]) as server:
            assert receive(server, 7) == b"anyone?"


def test_a_slow_close_is_learned_later(ends: Ends, proxy: Proxy) -> None:
    """What was sent before the end arrives at once, the end itself only after its time."""
    proxy.order("slow-close by=1s")
    began_s = time.monotonic()
    ends.server.sendall(b"bye")
    ends.server.close()
    assert receive(ends.viewer, 3) == b"bye"
    assert says_nothing(ends.viewer)
    assert ends.viewer.recv(1) == b""
    assert time.monotonic() - began_s >= 1.0


def test_faults_combine_and_heal_one_by_one(ends: Ends, proxy: Proxy) -> None:
    """A slow close over a far link takes both times; without the one the other stays."""
    proxy.order("latency by=300ms")
    proxy.order("slow-close by=300ms")
    began_s = time.monotonic()
    ends.server.shutdown(socket.SHUT_WR)
    assert ends.viewer.recv(1) == b""
    assert time.monotonic() - began_s >= 0.6
    proxy.order("heal slow-close")
    began_s = time.monotonic()
    ends.viewer.shutdown(socket.SHUT_WR)
    assert ends.server.recv(1) == b""
    assert time.monotonic() - began_s >= 0.3


def test_a_target_that_is_not_there_resets_its_viewers(
    proxy: Proxy, listener: socket.socket
) -> None:
    """Nobody is kept waiting for a server that refuses, and the record says why."""
    listener.close()
    viewer = socket.create_connection(("127.0.0.1", proxy.port), timeout=DEADLINE_S)
    with viewer, pytest.raises(ConnectionResetError):
        viewer.recv(1)
    wait_for(lambda: len(proxy.record) == 3)
    _, began, ended = proxy.record
    assert isinstance(began, ConnectionFact)
    assert isinstance(ended, ConnectionFact)
    assert (began.phase, began.why) == (Phase.BEGAN, None)
    assert (ended.phase, ended.why) == (Phase.ENDED, "Connection refused")


def test_it_works_over_ipv6() -> None:
    """An address with colons is written in brackets, and a cut drops new connections there too."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        to = f"[::1]:{listening.getsockname()[1]}"
        with Proxy(to=to, bind="::1") as proxy:
            assert proxy.url("cam") == f"rtsp://[::1]:{proxy.port}/cam"
            with socket.create_connection(("::1", proxy.port), timeout=DEADLINE_S) as viewer:
                viewer.sendall(b"x")
                with closing(listening.accept()[0]) as server:
                    assert receive(server, 1) == b"x"
            proxy.order("cut")
            with pytest.raises(TimeoutError):
                socket.create_connection(("::1", proxy.port), timeout=SILENCE_S)


def test_the_record_tells_faults_with_their_instants(proxy: Proxy) -> None:
    """Beginning and end are there, as far apart as was ordered, and `heal` ends none twice."""
    proxy.order("rate limit=1Mbit/s for=200ms")
    wait_for(lambda: len(proxy.record) == 3)
    proxy.order("heal")
    ready, began, ended = proxy.record
    assert ready == ReadyFact(at=ready.at, host="127.0.0.1", port=proxy.port)
    assert began == FaultFact(at=began.at, name="rate", phase=Phase.BEGAN)
    assert ended == FaultFact(at=ended.at, name="rate", phase=Phase.ENDED)
    assert 0.2 <= (ended.at - began.at).total_seconds() < DEADLINE_S


def test_what_can_not_be_done_is_said(proxy: Proxy) -> None:
    """A taken port and an unknown fault are errors that name the thing; the proxy goes on."""
    with pytest.raises(
        UsageError, match=rf"^proxy: can't listen on 127\.0\.0\.1 port {proxy.port}"
    ):
        Proxy(to="127.0.0.1:9", port=proxy.port).start()
    with pytest.raises(UsageError, match=r"^there is no fault 'flood'\. There are: latency, "):
        proxy.order("flood")
    proxy.order("cut for=1ms")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "{port}", "--to", "127.0.0.1:9"], "can't listen on 127.0.0.1 port {port}"),
        (["--listen", "0", "--to", "nowhere"], "--to nowhere: expected HOST:PORT"),
        (["--listen", "no.host.invalid:0", "--to", "9"], "can't listen on no.host.invalid"),
        (["--listen", "0", "--to", "9", "--fault", "cut by=1s"], "cut: it takes no 'by=1s'"),
        (["--listen", "0", "--to", "9", "--control", "{file}"], "--control {file}: "),
        (
            ["--listen", "0", "--to", "9", "--control", "/x/y"],
            "--control /x/y: there is no directory /x",
        ),
    ],
)
def test_the_command_refuses_what_it_can_not_do(
    proxy: Proxy, tmp_path: Path, options: list[str], said: str
) -> None:
    """One line names the option and what was expected, with exit code 2, and nothing is touched."""
    file = tmp_path / "file"
    file.write_text("precious")
    known = {"port": str(proxy.port), "file": str(file)}
    command = [COMMAND, "lab", "proxy", *(option.format(**known) for option in options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    assert said.format(**known) in done.stderr
    assert done.stderr.count("\n") == 1
    assert file.read_text() == "precious"


def test_the_command_takes_lines_from_a_socket_and_from_stdin(tmp_path: Path) -> None:
    """A wrong line is told where it came from; the end of stdin ends nothing, SIGTERM does."""
    control = tmp_path / "control"
    with command("--control", str(control), "--fault", "latency by=1s") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        facts = map(json.loads, process.stdout)
        assert next(facts)["what"] == "ready"
        assert next(facts)["name"] == "latency"
        process.stdin.write(b"heal latency\n\nflood\n")
        process.stdin.close()
        assert next(facts)["phase"] == "ended"
        assert next(facts)["error"].startswith("there is no fault 'flood'")
        wait_for(control.is_socket)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE_S)
            client.connect(str(control))
            answers = client.makefile()
            for line, ok in (("cut", True), ("cut now", False), ("heal", True)):
                client.sendall(f"{line}\n".encode())
                assert json.loads(answers.readline())["ok"] is ok
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert list(tmp_path.iterdir()) == []


def test_the_command_shows_all_faults() -> None:
    """Each stands there with its keys and what it does."""
    shown = subprocess.run(
        [COMMAND, "lab", "proxy", "--list-faults"], capture_output=True, text=True, check=True
    )
    for kind in NETWORK_FAULTS:
        assert f"{kind.does}\n" in shown.stdout


def test_a_command_whose_record_nobody_reads_ends() -> None:
    """Piped into what has seen enough, it does not stay behind, and says nothing about it."""
    with command() as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        _, errors = process.communicate(b"cut\n", timeout=DEADLINE_S)
        assert (process.returncode, errors) == (0, b"")


def test_a_command_whose_network_is_gone_ends() -> None:
    """It says so, with exit code 1."""
    with command() as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.kill(int(children), signal.SIGKILL)
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, errors) == (1, b"the proxy has ended by itself\n")


OWNER = """
import sys
from stream_manager.lab.network.faults import NETWORK_FAULTS
from stream_manager.lab.network.facts import ConnectionFact, ReadyFact
from stream_manager.lab.proxy import Proxy
from stream_manager.lab.record import FaultFact, Phase
proxy = Proxy(to="127.0.0.1:9")
proxy.start()
print(proxy.pid, flush=True)
sys.stdin.read()
"""


def test_a_proxy_ends_with_its_owner() -> None:
    """Whoever started it may be killed: it does not stay."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        proxy = os.pidfd_open(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
        readable, _, _ = select.select([proxy], [], [], DEADLINE_S)
        os.close(proxy)
    assert readable
