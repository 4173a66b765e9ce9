"""The RTSP server: loops a clip, for each client from its beginning, with what is wrong with it."""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402 - as above

from stream_manager.clock import chance  # noqa: E402
from stream_manager.lab.board import Board  # noqa: E402
from stream_manager.lab.feed import Conditions, Feed, Pacer, Pictures  # noqa: E402
from stream_manager.lab.media import Clip, Kind  # noqa: E402
from stream_manager.lab.packets import DATA, PacketFilter  # noqa: E402
from stream_manager.lab.record import Fact, MediaFact, Phase, SessionFact, instant, now  # noqa: E402
from stream_manager.lab.schedule import loop, stutter  # noqa: E402
from stream_manager.lab.viewers import Door, Viewers  # noqa: E402

UNREAD_NS = 2 * Gst.SECOND  # a client that reads slower than this loses the oldest units
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


@dataclass(slots=True, kw_only=True)
class Reel:
    """The clip that the sessions of one SDP play; another of the same tracks can take its place."""

    clip: Clip


class RtspServer:
    """Serves a clip under several mounts. Runs on the default main context.

    `tell` gets what is seen of viewers, in any thread; `first_viewer` is the number of the first.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        mounts: tuple[str, ...],
        bind: str,
        port: int,
        credentials: Credentials | None,
        board: Board,
        tell: Callable[[Fact], None],
        first_viewer: int = 1,
    ) -> None:
        self._mounts = mounts
        self._credentials = credentials
        self._board = board
        self._tell = tell
        self._numbers = itertools.count(first_viewer)
        self._pacer = Pacer()
        self._conditions = Conditions()
        self._server = GstRtspServer.RTSPServer()
        self.door = Door(self._server, bind, port)
        self.viewers = Viewers(self._server)
        self._serve(clip)
        self.keep_password()

    @property
    def clip(self) -> Clip:
        """What is sent just now."""
        return self._reel.clip

    def show_in_band(self, clip: Clip) -> None:
        """Send another clip of the same codecs, in the running sessions too."""
        self._reel.clip = clip

    def show_anew(self, clip: Clip) -> None:
        """Send another clip in new sessions, with an SDP of its own; end the running ones."""
        self._serve(clip)
        self.viewers.drop()

    def change_password(self, method: Literal["basic", "digest"]) -> None:
        """Let nobody in who connects from now on."""
        unknown = secrets.token_hex()
        self._server.set_auth(_auth(Credentials(user=ROLE, password=unknown, method=method)))

    def keep_password(self) -> None:
        """Let in whom the camera was made to let in."""
        self._server.set_auth(None if self._credentials is None else _auth(self._credentials))

    def stutter(self, gap_s: float) -> None:
        """Hold units back so that pictures are up to that far apart; 0 ends it."""
        with self._pacer.held():
            self._conditions.stutter_gap_ns = round(gap_s * Gst.SECOND)

    def lose(self, kind: Kind) -> None:
        """Send no more of one kind of track."""
        with self._pacer.held() as feeds:
            self._conditions.lost |= {kind}
            if kind is Kind.VIDEO:
                _stop_pictures(feeds)

    def find(self, kind: Kind) -> None:
        """Send that kind of track again, pictures from a keyframe on."""
        with self._pacer.held():
            self._conditions.lost -= {kind}

    def withhold_keyframes(self, *, wanted: bool) -> None:
        """Send only units that build on others, or everything again."""
        with self._pacer.held():
            self._conditions.keyframes_withheld = wanted

    def garble(self, *, wanted: bool) -> None:
        """Send random payloads, or true ones again."""
        with self._pacer.held() as feeds:
            _stop_pictures(feeds)
            self._conditions.garbage = wanted
            for feed in feeds if wanted else ():
                feed.garble()

    def leap(self, by_s: float) -> None:
        """Move the RTP timestamps of those who play."""
        with self._pacer.held() as feeds:
            for feed in feeds:
                feed.leap(by_s)

    def _serve(self, clip: Clip) -> None:
        self._reel = Reel(clip=clip)
        points = self._server.get_mount_points()
        assert points is not None
        for index, mount in enumerate(self._mounts):
            points.add_factory(f"/{mount}", self._factory(index, self._reel))

    def _factory(self, mount: int, reel: Reel) -> GstRtspServer.RTSPMediaFactory:
        launch = " ".join(
            f"appsrc name=track{index} format=time max-bytes=0 max-time={UNREAD_NS} "
            f"leaky-type=downstream ! {PAYLOADERS[track.media_type]} name=pay{index}"
            for index, track in enumerate(reel.clip.tracks)
        )
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        permissions = GstRtspServer.RTSPPermissions.new()
        for permission in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role(ROLE, permission, True)
        factory.set_permissions(permissions)
        factory.connect("media-configure", self._configure, mount, reel)
        return factory

    def _configure(
        self,
        _factory: GstRtspServer.RTSPMediaFactory,
        media: GstRtspServer.RTSPMedia,
        mount: int,
        reel: Reel,
    ) -> None:
        media.set_rate_control(False)
        element = media.get_element()
        assert isinstance(element, Gst.Bin)
        sources, filters = [], []
        for index, track in enumerate(reel.clip.tracks):
            source = element.get_by_name(f"track{index}")
            payloader = element.get_by_name(f"pay{index}")
            assert isinstance(source, GstApp.AppSrc)
            assert payloader is not None
            source.set_caps(Gst.Caps.from_string(track.caps))
            sources.append(source)
            filters.append(PacketFilter(payloader, lambda: self._conditions.garbage))
        conditions = self._conditions
        session = _Session(self._tell, self._mounts[mount], next(self._numbers))
        deliveries = stutter(
            loop(lambda: reel.clip), gap_ns=lambda: conditions.stutter_gap_ns, chance=chance
        )
        pictures = Pictures(session.tell_media, self._board, mount)
        feed = Feed(sources, filters, deliveries, conditions, pictures)
        media.connect("prepared", self._gate, reel)
        media.connect("new-state", self._on_state, feed, session)
        media.connect("unprepared", self._on_unprepared, feed, session)
        with self._pacer.held():
            feed.prime(reel.clip.period_ns)

    def _gate(self, media: GstRtspServer.RTSPMedia, reel: Reel) -> None:
        """Keep back what the media was primed with where its track is lost when it plays."""
        # The payloader's packet waits at the session manager's pad until PLAY.
        element = media.get_element()
        pipeline = element.get_parent()
        assert isinstance(pipeline, Gst.Bin)
        manager = next(
            child for child in pipeline.children if str(child.get_name()).startswith("rtpbin")
        )
        for index, track in enumerate(reel.clip.tracks):
            if track.kind in self._conditions.lost:
                pad = manager.get_static_pad(f"send_rtp_src_{index}")
                assert pad is not None
                pad.add_probe(DATA, self._keep_back, track.kind)

    def _keep_back(self, pad: Gst.Pad, _info: Gst.PadProbeInfo, kind: Kind) -> Gst.PadProbeReturn:
        if kind not in self._conditions.lost:
            return Gst.PadProbeReturn.REMOVE
        # A sink that waits for its first packet would keep the other track's from playing.
        pad.push_event(Gst.Event.new_gap(0, Gst.CLOCK_TIME_NONE))
        return Gst.PadProbeReturn.DROP

    def _on_state(
        self, _media: GstRtspServer.RTSPMedia, state: int, feed: Feed, session: "_Session"
    ) -> None:
        if state == Gst.State.PLAYING:
            session.begin()
            self._pacer.play(feed)
        else:
            self._pacer.pause(feed)

    def _on_unprepared(
        self, _media: GstRtspServer.RTSPMedia, feed: Feed, session: "_Session"
    ) -> None:
        self._pacer.pause(feed)
        session.end()


class _Session:
    """One viewer in the record. Who has only looked (DESCRIBE) is no viewer."""

    def __init__(self, tell: Callable[[Fact], None], mount: str, viewer: int) -> None:
        self._tell = tell
        self._mount = mount
        self._viewer = viewer
        self._plays = False

    def begin(self) -> None:
        if not self._plays:
            self._plays = True
            self._tell_session(Phase.BEGAN)

    def end(self) -> None:
        if self._plays:
            self._plays = False
            self._tell_session(Phase.ENDED)

    def tell_media(self, phase: Phase, at_ns: int) -> None:
        self._tell(
            MediaFact(at=instant(at_ns), mount=self._mount, viewer=self._viewer, phase=phase)
        )

    def _tell_session(self, phase: Phase) -> None:
        self._tell(SessionFact(at=now(), mount=self._mount, viewer=self._viewer, phase=phase))


def _stop_pictures(feeds: tuple[Feed, ...]) -> None:
    for feed in feeds:
        feed.pictures.stop()


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
