import re
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest
from tests.integration.test_lab_camera import numbers
from tests.integration.waiting import wait_for

from stream_manager.lab.camera import Camera
from stream_manager.lab.network.facts import ConnectionFact, MediaFact
from stream_manager.lab.proxy import Proxy
from stream_manager.lab.record import FaultFact, Phase

pytestmark = pytest.mark.media

DEADLINE_S = 30.0
SILENCE_S = 0.5
LOOPBACK = "127.0.0.1"


def udp() -> socket.socket:
    """Return a UDP port of loopback."""
    it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.bind((LOOPBACK, 0))
    it.settimeout(DEADLINE_S)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    return it


def media_facts(proxy: Proxy) -> list[MediaFact]:
    """Return what the record tells of media."""
    return [fact for fact in proxy.record if isinstance(fact, MediaFact)]


def is_over(proxy: Proxy) -> bool:
    """Tell whether the proxy's newest fact is the end of a connection."""
    newest = proxy.record[-1]
    return isinstance(newest, ConnectionFact) and newest.phase is Phase.ENDED


class Session:
    """A viewer and a server that speak as much RTSP by hand as a session over UDP needs."""

    def __init__(self) -> None:
        self.rtp, self.rtcp, self.server_rtp, self.server_rtcp = udp(), udp(), udp(), udp()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        self.heard = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for it in (self.rtp, self.rtcp, self.server_rtp, self.server_rtcp, self._listener):
            it.close()
        self.viewer.close()
        self.server.close()

    def set_up(self, proxy: Proxy) -> str:
        """Have a SETUP go to the server and its answer come back; return that."""
        self.viewer = socket.create_connection((LOOPBACK, proxy.port), timeout=DEADLINE_S)
        ports = f"{self.rtp.getsockname()[1]}-{self.rtcp.getsockname()[1]}"
        self.viewer.sendall(
            b"SETUP rtsp://cam/0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;"
            + f"client_port={ports};mode=play\r\n\r\n".encode()
        )
        self.server, _ = self._listener.accept()
        self.server.settimeout(DEADLINE_S)
        self.heard = self.server.recv(4096)
        asked = re.search(rb"client_port=(\d+)-(\d+)", self.heard)
        assert asked is not None
        self.far = (int(asked[1]), int(asked[2]))
        mine = f"{self.server_rtp.getsockname()[1]}-{self.server_rtcp.getsockname()[1]}"
        self.server.sendall(
            b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=%d-%d;"
            % self.far
            + f"server_port={mine};source={LOOPBACK};ssrc=1234ABCD\r\n\r\n".encode()
        )
        return self.viewer.recv(4096).decode()

    def hang_up(self, proxy: Proxy) -> None:
        """End the connection on both sides, and return when the proxy has seen that."""
        self.viewer.close()
        self.server.close()
        wait_for(lambda: is_over(proxy))

    def send(self, *payloads: bytes) -> None:
        """Send RTP to where the server was told to."""
        for payload in payloads:
            self.server_rtp.sendto(payload, (LOOPBACK, self.far[0]))

    def received(self, last: bytes) -> list[bytes]:
        """Return what comes up to `last`, which was sent when nothing was lost any more."""
        payloads = [self.rtp.recv(2048)]
        while payloads[-1] != last:
            payloads.append(self.rtp.recv(2048))
        return payloads[:-1]


@pytest.fixture
def session() -> Iterator[Session]:
    """Give a session that is not set up yet."""
    with Session() as made:
        yield made


@pytest.fixture
def proxy(session: Session) -> Iterator[Proxy]:
    """Give a perfect network in front of its server."""
    with Proxy(to=f"{LOOPBACK}:{session.port}") as running:
        yield running


@pytest.fixture
def network(camera: Camera) -> Iterator[Proxy]:
    """Give a perfect network in front of a real simulated camera."""
    with Proxy(to=f"{LOOPBACK}:{camera.port}") as running:
        yield running


def test_datagrams_go_through_ports_of_the_proxy(session: Session, proxy: Proxy) -> None:
    """Each side is told of the proxy's ports, an even one and the next, and of nothing else new."""
    answer = session.set_up(proxy)
    assert session.heard.decode() == (
        "SETUP rtsp://cam/0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;"
        f"client_port={session.far[0]}-{session.far[1]};mode=play\r\n\r\n"
    )
    told = re.fullmatch(
        r"RTSP/1\.0 200 OK\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=(\d+)-(\d+);"
        r"server_port=(\d+)-(\d+);source=127\.0\.0\.1;ssrc=1234ABCD\r\n\r\n",
        answer,
    )
    assert told is not None
    near = (int(told[3]), int(told[4]))
    assert [int(told[1]), int(told[2])] == [
        it.getsockname()[1] for it in (session.rtp, session.rtcp)
    ]
    for first, second in (session.far, near):
        assert (first % 2, second) == (0, first + 1)
    session.send(b"picture")
    assert session.rtp.recvfrom(100) == (b"picture", (LOOPBACK, near[0]))
    session.rtcp.sendto(b"report", (LOOPBACK, near[1]))
    assert session.server_rtcp.recvfrom(100) == (b"report", (LOOPBACK, session.far[1]))
    session.server_rtcp.sendto(b"sender", (LOOPBACK, session.far[1]))
    assert session.rtcp.recvfrom(100) == (b"sender", (LOOPBACK, near[1]))


def test_datagrams_of_strangers_do_not_pass(session: Session, proxy: Proxy) -> None:
    """Only the server's host is heard on the ports that it was told."""
    session.set_up(proxy)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(b"forged", (LOOPBACK, session.far[0]))
    session.send(b"true")
    assert session.rtp.recv(100) == b"true"


def test_loss_takes_about_its_share(session: Session, proxy: Proxy) -> None:
    """Of many datagrams that part is missing, and what comes has no new order."""
    session.set_up(proxy)
    proxy.order("loss share=30%")
    sent = [b"%d" % number for number in range(1000)]
    for start in range(0, len(sent), 50):  # so that no socket's buffer overflows
        session.send(*sent[start : start + 50])
        proxy.order("loss share=30%")
    proxy.order("heal")
    session.send(b"last")
    received = session.received(b"last")
    assert 500 < len(received) < 900
    assert received == sorted(received, key=int)


def test_a_cut_loses_datagrams_for_good(session: Session, proxy: Proxy) -> None:
    """Unlike a connection's bytes they do not come later, and the record has both instants."""
    session.set_up(proxy)
    session.send(b"before")
    assert session.rtp.recv(100) == b"before"
    proxy.order("cut")
    session.send(b"during")
    assert not select.select([session.rtp], [], [], SILENCE_S)[0]
    proxy.order("heal")
    session.send(b"after")
    assert session.rtp.recv(100) == b"after"
    session.hang_up(proxy)
    first, last, again, end = media_facts(proxy)
    assert [it.phase for it in (first, last, again, end)] == [Phase.FIRST, Phase.LAST] * 2
    assert first.at == last.at
    assert (again.at - last.at).total_seconds() >= SILENCE_S


def test_media_that_nobody_awaits_any_more_is_not_told_of(session: Session, proxy: Proxy) -> None:
    """A viewer that gave up during a cut still gets what comes after it; no media began anew."""
    session.set_up(proxy)
    session.send(b"before")
    assert session.rtp.recv(100) == b"before"
    proxy.order("cut")
    session.viewer.close()
    proxy.order("heal")
    assert session.server.recv(1) == b""
    session.send(b"after")
    assert session.rtp.recv(100) == b"after"
    session.hang_up(proxy)
    assert [fact.phase for fact in media_facts(proxy)] == [Phase.FIRST, Phase.LAST]


def test_latency_and_rate_hold_datagrams_back(session: Session, proxy: Proxy) -> None:
    """They arrive that much later, and of a flood over a slow link the most never."""
    session.set_up(proxy)
    proxy.order("latency by=300ms")
    began_s = time.monotonic()
    session.send(b"far")
    assert session.rtp.recv(100) == b"far"
    assert time.monotonic() - began_s >= 0.3
    proxy.order("heal")
    proxy.order("rate limit=80kbit/s")
    session.send(*[bytes(1000)] * 50)
    assert not select.select([session.server], [], [], 1.0)[0]  # the queue is empty by then
    proxy.order("heal")
    session.send(b"last")
    assert 0 < len(session.received(b"last")) < 10


def test_jitter_mixes_datagrams(session: Session, proxy: Proxy) -> None:
    """Unlike a connection's bytes they overtake each other, and none is lost."""
    session.set_up(proxy)
    proxy.order("jitter up-to=100ms")
    sent = [b"%d" % number for number in range(50)]
    session.send(*sent)
    received = [session.rtp.recv(100) for _ in sent]
    assert received != sent
    assert sorted(received, key=int) == sent


def test_ports_are_given_back(session: Session, proxy: Proxy) -> None:
    """After the connection nobody listens where its media came from."""
    session.set_up(proxy)
    session.hang_up(proxy)
    for port in session.far:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind((LOOPBACK, port))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_player_misses_nothing_on_a_perfect_network(network: Proxy, transport: str) -> None:
    """Every picture arrives once and in order, and the record tells first and last media."""
    assert numbers(network.url("cam"), 60, transport=transport) == list(range(60))
    wait_for(lambda: is_over(network))
    first, last = media_facts(network)
    assert (first.phase, last.phase) == (Phase.FIRST, Phase.LAST)
    assert (last.at - first.at).total_seconds() > 2.0  # 60 pictures, 25 a second


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("fault", [None, "latency by=100ms", "loss share=2%"])
def test_rtspsrc_plays_through_the_network(
    network: Proxy, transport: str, fault: str | None
) -> None:
    """The product's own client gets its pictures, over a network that is good enough for that."""
    if fault is not None:
        network.order(fault)
    command = (
        f"gst-launch-1.0 -q rtspsrc name=it location={network.url('cam')} protocols={transport}"
        " latency=200 it. ! rtph264depay ! identity eos-after=50 ! fakesink sync=false"
        # A track that nobody takes would end the other, if it came first.
        " it. ! rtpmp4gdepay ! identity eos-after=50 ! fakesink sync=false"
    )
    # Its exit code tells of the farewell too, for which either side may be too late.
    subprocess.run(command.split(), timeout=DEADLINE_S, check=False, stderr=subprocess.DEVNULL)
    wait_for(lambda: is_over(network))
    first, last = media_facts(network)
    assert (last.at - first.at).total_seconds() > 0.9  # it ends after 50 units of sound


def test_media_over_udp_really_is_on_the_network(network: Proxy) -> None:
    """When all datagrams are lost RTSP works and no media arrives, as the record says."""
    network.order("loss share=100%")
    url = network.url("cam")
    command = ["ffmpeg", "-v", "error", "-rtsp_transport", "udp", "-i", url, "-f", "null", "-"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as player:
        wait_for(lambda: len(network.record) > 2)
        with pytest.raises(subprocess.TimeoutExpired):
            player.wait(3 * SILENCE_S)
        assert media_facts(network) == []
        player.kill()


def test_a_short_cut_costs_a_viewer_over_tcp_no_picture(network: Proxy) -> None:
    """What was held back comes afterwards, and the record has the beginning and the end of it."""
    shown: list[int] = []

    def watch() -> None:
        shown.extend(numbers(network.url("cam"), 60))

    viewer = threading.Thread(target=watch)
    viewer.start()
    try:
        wait_for(lambda: media_facts(network))
        network.order("cut for=500ms")
    finally:
        viewer.join()
    assert shown == list(range(60))
    first, last, again, _ = media_facts(network)
    began, ended = (fact.at for fact in network.record if isinstance(fact, FaultFact))
    assert first.at <= last.at <= began < ended <= again.at
