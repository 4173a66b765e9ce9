"""The camera's own process: an RTSP server that loops a clip, for each client from its beginning.

A client's media is a pipeline `appsrc ! payloader` a track, whose sinks do not wait for timestamps:
one thread, the pacer, hands every client's units over when they are due. So what a camera claims
(timestamps) and what it does (arrival) stay independent, and forty clients cost one Python thread.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # noqa: E402 - versions must be required first
    GLib,
    Gst,
    GstApp,
    GstRtsp,
    GstRtspServer,
)

from stream_manager.errors import UsageError  # noqa: E402
from stream_manager.lab.media import Clip  # noqa: E402
from stream_manager.lab.schedule import Delivery  # noqa: E402

ROUND_S = 0.004  # the pacer's shortest nap: units due within it leave together
STALE_NS = Gst.SECOND  # after a freeze a camera goes on from the present, at a keyframe
UNREAD_NS = 2 * Gst.SECOND  # a client that reads slower than this loses the oldest units
BACKLOG = 128  # with the default of 5, a crowd's clients wait a second for a second SYN
ROLE = "viewer"

PAYLOADERS = {
    "video/x-h264": "rtph264pay pt=96 aggregate-mode=zero-latency",
    "video/x-h265": "rtph265pay pt=96 aggregate-mode=zero-latency",
    "image/jpeg": "rtpjpegpay",
    "audio/mpeg": "rtpmp4gpay pt=97",
    "audio/x-opus": "rtpopuspay pt=97",
    "audio/x-alaw": "rtppcmapay",
    "audio/x-mulaw": "rtppcmupay",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Whom the server lets in, and how it asks."""

    user: str
    password: str
    method: Literal["basic", "digest"]


class Feed:
    """One client's deliveries on their way into its media's appsrcs."""

    def __init__(self, sources: list[GstApp.AppSrc], deliveries: Iterator[Delivery]) -> None:
        self._sources = sources
        self._deliveries = deliveries
        self._next = next(deliveries)
        self._broken: set[int] = set()  # tracks that lack a unit, until their next keyframe
        self.played_ns = 0

    def prime(self) -> None:
        """Hand over the first unit of every track: without it the media can't describe itself."""
        waiting = set(range(len(self._sources)))
        while waiting:
            waiting.discard(self._next.track)
            self._hand_over()

    def advance(self, played_ns: int) -> int:
        """Hand over all that is due `played_ns` after PLAY; return when the next unit is due."""
        self.played_ns = played_ns
        while self._next.due_ns <= played_ns:
            self._hand_over()
        return self._next.due_ns

    def _hand_over(self) -> None:
        delivery, self._next = self._next, next(self._deliveries)
        if self.played_ns - delivery.due_ns > STALE_NS:
            self._broken.add(delivery.track)
        elif delivery.unit.key:
            self._broken.discard(delivery.track)
        if delivery.track in self._broken:
            return
        buffer = Gst.Buffer.new_wrapped(delivery.unit.data)
        buffer.pts = delivery.pts_ns
        self._sources[delivery.track].push_buffer(buffer)


class Pacer:
    """The thread that advances every playing feed in real time."""

    def __init__(self) -> None:
        self._clock = Gst.SystemClock.obtain()
        self._changed = threading.Condition()
        self._started_ns: dict[Feed, int] = {}
        threading.Thread(target=self._run, name="pacer", daemon=True).start()

    def play(self, feed: Feed) -> None:
        """Let the feed go on where it is."""
        with self._changed:
            self._started_ns[feed] = self._clock.get_time() - feed.played_ns
            self._changed.notify()

    def pause(self, feed: Feed) -> None:
        """Hold the feed, or forget it; one that does not play is left as it is."""
        with self._changed:
            self._started_ns.pop(feed, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._started_ns)
                now_ns = self._clock.get_time()
                due_ns = min(
                    started_ns + feed.advance(now_ns - started_ns)
                    for feed, started_ns in self._started_ns.items()
                )
                self._changed.wait(max(ROUND_S, (due_ns - now_ns) / Gst.SECOND))


class RtspServer:
    """Serves a clip under several mounts. Runs on the default main context."""

    def __init__(
        self,
        clip: Clip,
        deliveries: Callable[[], Iterator[Delivery]],
        *,
        mounts: tuple[str, ...],
        credentials: Credentials | None,
    ) -> None:
        self._clip = clip
        self._deliveries = deliveries
        self._pacer = Pacer()
        self._server = GstRtspServer.RTSPServer()
        points = self._server.get_mount_points()
        assert points is not None
        for mount in mounts:
            points.add_factory(f"/{mount}", self._factory())
        if credentials is not None:
            self._server.set_auth(_auth(credentials))

    def listen(self, bind: str, port: int) -> int:
        """Accept connections from now on; return the port. Raises `UsageError` if it is taken."""
        self._server.set_address(bind)
        self._server.set_service(str(port))
        self._server.set_backlog(BACKLOG)
        try:
            source = self._server.create_source(None)
        except GLib.Error as error:
            raise UsageError(
                f"can't listen on {bind} port {port}: {error.message}. "
                "Choose another port, or 0 for any free one."
            ) from error
        source.attach(None)
        self._server.connect("client-connected", _send_at_once)
        return self._server.get_bound_port()

    def _factory(self) -> GstRtspServer.RTSPMediaFactory:
        launch = " ".join(
            f"appsrc name=track{index} format=time max-bytes=0 max-time={UNREAD_NS} "
            f"leaky-type=downstream ! {PAYLOADERS[track.caps.split(',', 1)[0]]} name=pay{index}"
            for index, track in enumerate(self._clip.tracks)
        )
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        permissions = GstRtspServer.RTSPPermissions.new()
        for permission in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(ROLE, permission, True)
        factory.set_permissions(permissions)
        factory.connect("media-configure", self._configure)
        return factory

    def _configure(
        self, _factory: GstRtspServer.RTSPMediaFactory, media: GstRtspServer.RTSPMedia
    ) -> None:
        media.set_rate_control(False)
        element = media.get_element()
        assert isinstance(element, Gst.Bin)
        sources = []
        for index, track in enumerate(self._clip.tracks):
            source = element.get_by_name(f"track{index}")
            assert isinstance(source, GstApp.AppSrc)
            source.set_caps(Gst.Caps.from_string(track.caps))
            sources.append(source)
        feed = Feed(sources, self._deliveries())
        media.connect("new-state", self._on_state, feed)
        media.connect("unprepared", self._on_unprepared, feed)
        feed.prime()

    def _on_state(self, _media: GstRtspServer.RTSPMedia, state: int, feed: Feed) -> None:
        if state == Gst.State.PLAYING:
            self._pacer.play(feed)
        else:
            self._pacer.pause(feed)

    def _on_unprepared(self, _media: GstRtspServer.RTSPMedia, feed: Feed) -> None:
        self._pacer.pause(feed)


def _send_at_once(_server: GstRtspServer.RTSPServer, client: GstRtspServer.RTSPClient) -> None:
    # Nagle's algorithm and delayed acknowledgements would hold the first picture for 40 ms.
    connection = client.get_connection()
    assert connection is not None
    stream = connection.get_read_socket()
    assert stream is not None
    stream.set_option(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _auth(credentials: Credentials) -> GstRtspServer.RTSPAuth:
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
    auth = GstRtspServer.RTSPAuth()
    user, password = credentials.user, credentials.password
    # Both at once can't be had from Python: their union is no value of the declared enum.
    if credentials.method == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    return auth
