import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice, pairwise
from typing import Literal

import pytest
from tests.integration.waiting import wait_for
from tests.integration.wire import DEADLINE_S, KEY_TYPES, Conversation, Packet

from stream_manager.errors import UsageError
from stream_manager.lab.camera import Camera
from stream_manager.lab.record import FaultFact, MediaFact, Phase, SessionFact

pytestmark = pytest.mark.media

SILENCE_S = 0.4
AGREE_S = 0.1  # between the record and a client on the same machine
WRAP = 2**32


@pytest.fixture
def playing(camera: Camera) -> Iterator[Conversation]:
    """Give a client that plays the camera and has seen its first pictures."""
    with Conversation(camera.url("cam")) as client:
        client.play().until_video(3)
        yield client


def status(camera: Camera, *requests: str) -> list[int]:
    """Return the status of DESCRIBE, and of SETUP too if it is asked for."""
    with Conversation(camera.url("cam")) as client:
        answers = [client.describe()]
        if "setup" in requests:
            answers.append(client.setup(0))
        return [int(answer.split(" ", 2)[1]) for answer in answers]


def phases(camera: Camera, name: str) -> list[Phase]:
    """Return what the record says of a fault."""
    facts = camera.record
    return [fact.phase for fact in facts if isinstance(fact, FaultFact) and fact.name == name]


def media(camera: Camera) -> list[tuple[int, Phase, float]]:
    """Return viewer, phase and wall time of what the record says of pictures."""
    return [
        (fact.viewer, fact.phase, fact.at.timestamp())
        for fact in camera.record
        if isinstance(fact, MediaFact)
    ]


def agree(told: list[tuple[int, Phase, float]], seen: list[tuple[Phase, float]]) -> None:
    """Assert that the record begins with what the first viewer saw, at about those times."""
    for (viewer, phase, at_s), (seen_phase, seen_s) in zip(told, seen, strict=False):
        assert (viewer, phase) == (1, seen_phase)
        assert abs(at_s - seen_s) < AGREE_S
    assert len(told) >= len(seen)


def ticks(stamps: tuple[int, int]) -> int:
    """Return how far the second timestamp is after the first."""
    return (stamps[1] - stamps[0] + WRAP // 2) % WRAP - WRAP // 2


def sequences_go_on(packets: list[Packet]) -> bool:
    """Tell whether no packet of any track is missing or out of order."""
    return all(
        (later.sequence - earlier.sequence) % 2**16 == 1
        for channel in (0, 2)
        for earlier, later in pairwise([it for it in packets if it.channel == channel])
    )


def test_drop_ends_connections_and_takes_new_ones(camera: Camera, playing: Conversation) -> None:
    """A viewer's connection ends by FIN or, if wanted, RST; the next one is served."""
    camera.order("drop")
    playing.read_to_end()
    with Conversation(camera.url("cam")) as client:
        client.play().until_video(3)
        camera.order("drop rst=yes")
        with pytest.raises(ConnectionResetError):
            client.read_to_end()
    assert status(camera) == [200]
    assert phases(camera, "drop") == [Phase.BEGAN, Phase.ENDED] * 2


def test_refuse_closes_the_port_while_the_process_lives(
    camera: Camera, playing: Conversation
) -> None:
    """Connections are refused, running ones end; healed, the same process has the same port."""
    pid = camera.pid
    camera.order("refuse")
    playing.read_to_end()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", camera.port))
    camera.order("heal")
    assert status(camera) == [200]
    assert camera.pid == pid


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_the_password_changes_and_comes_back(auth: Literal["basic", "digest"]) -> None:
    """Who had the right one is sent away and gets a challenge; healed, it is right again."""
    with Camera("cam", user="viewer", password="secret", auth=auth) as camera:
        url = camera.url("cam").replace("//", "//viewer:secret@")
        look = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", url]

        def probe() -> str:
            return subprocess.run(
                look, capture_output=True, text=True, timeout=DEADLINE_S, check=False
            ).stderr

        assert probe() == ""
        with Conversation(camera.url("cam")) as client:
            client.describe()  # who has only just connected may not be known to the camera yet
            camera.order("password")
            client.read_to_end()
        with Conversation(camera.url("cam")) as client:
            answer = client.describe()
        assert " 401 " in answer
        assert f'WWW-Authenticate: {auth.title()} realm="' in answer
        assert "401 Unauthorized" in probe()
        camera.order("heal password")
        assert probe() == ""


@pytest.mark.parametrize("code", [404, 453, 503])
def test_requests_are_answered_with_a_status(
    camera: Camera, playing: Conversation, code: int
) -> None:
    """Who plays is sent away and meets it on DESCRIBE, or on SETUP if that is wanted."""
    camera.order(f"error-{code}")
    playing.read_to_end()
    assert status(camera, "setup") == [code, code]
    camera.order(f"error-{code} on=setup")
    assert status(camera, "setup") == [200, code]
    camera.order("heal")
    assert status(camera, "setup") == [200, 200]


def test_one_session_at_a_time_and_stale_ones_are_held(camera: Camera) -> None:
    """Others get 453 while one plays and after it vanished; after TEARDOWN the next is let in."""
    with ExitStack() as stack:
        first, second, third = (
            stack.enter_context(Conversation(camera.url("cam"))) for _ in range(3)
        )
        first.play()
        second.play()
        camera.order("single-session hold=1s")
        second.read_to_end()
        first.until_video(3)
        assert status(camera, "setup") == [200, 453]
        assert " 200 " in first.ask("TEARDOWN", f"Session: {first.session}")
        third.play().until_video(1)
        assert status(camera, "setup") == [200, 453]
    tried = [status(camera, "setup")]
    while tried[-1] == [200, 453]:
        tried.append(status(camera, "setup"))
    assert len(tried) > 1
    assert tried[-1] == [200, 200]


def test_what_is_lost_stops_and_the_rest_goes_on(camera: Camera, playing: Conversation) -> None:
    """Without video only sound comes, also to who asks meanwhile, then pictures from a keyframe."""
    camera.order("lose-video")
    with Conversation(camera.url("cam")) as late:
        late.play()
        sounds = islice(late.packets(), 20)
        assert not any(packet.is_video for packet in sounds)
        camera.order("heal")
        resumed = late.until(lambda packet: packet.is_video)[-1]
        assert KEY_TYPES & resumed.nal_types
    back = playing.until(lambda packet: packet.is_video and 5 in packet.nal_types)
    assert sequences_go_on(back)
    camera.order("lose-audio")
    seen = playing.until_video(60)
    sounds_at = [index for index, it in enumerate(seen) if not it.is_video]
    assert len(seen) - max(sounds_at, default=-1) > 40


def test_the_record_of_a_lost_video_is_what_the_wire_shows(camera: Camera) -> None:
    """The last picture before and the first one after are in the record, at their instants."""
    with Conversation(camera.url("cam")) as client:
        seen = client.play().until_video(30)
        camera.order("lose-video for=600ms")
        seen += client.until(lambda packet: packet.at_s - seen[-1].at_s > SILENCE_S)
        seen += client.until_video(1)
    pictures = [packet.at_s for packet in seen if packet.is_video]
    last, first = max(pairwise(pictures), key=lambda pair: pair[1] - pair[0])
    wanted = [(Phase.FIRST, pictures[0]), (Phase.LAST, last), (Phase.FIRST, first)]
    camera.order("heal")  # answered when all before is told
    agree(media(camera), wanted)


@pytest.mark.parametrize("fault", ["reboot for=300ms", "drop"])
def test_the_record_tells_when_a_fault_cut_the_connection(camera: Camera, fault: str) -> None:
    """Killed or dropped: the last picture that a client got is the record's last one."""
    with Conversation(camera.url("cam")) as client:
        seen = client.play().until_video(30)
        camera.order(fault)
        seen += client.packets()
    pictures = [packet.at_s for packet in seen if packet.is_video]
    agree(media(camera), [(Phase.FIRST, pictures[0]), (Phase.LAST, pictures[-1])])
    sessions = [fact.phase for fact in camera.record if isinstance(fact, SessionFact)]
    assert sessions == [Phase.BEGAN, Phase.ENDED]


def test_the_record_tells_when_a_freeze_held_the_pictures(camera: Camera) -> None:
    """A process that stood still could tell nothing: its owner does, and then it goes on itself."""
    with Conversation(camera.url("cam")) as client:
        seen = client.play().until_video(30)
        camera.order("freeze for=600ms")
        seen += client.until(lambda it: it.is_video and it.at_s - seen[-1].at_s > SILENCE_S)
    camera.order("heal")  # answered when all before is told
    *_, last, first = (packet.at_s for packet in seen if packet.is_video)
    agree(media(camera)[1:], [(Phase.LAST, last), (Phase.FIRST, first)])


def test_without_keyframes_only_deltas_leave(camera: Camera, playing: Conversation) -> None:
    """For 60 pictures of a 10 picture GOP there is no IDR, SPS or PPS; healed, there is one."""
    camera.order("no-keyframe")
    with Conversation(camera.url("cam")) as late:
        for packet in late.play().until_video(60):
            assert not packet.is_video or not KEY_TYPES & packet.nal_types
    assert [viewer for viewer, _, _ in media(camera)] == [1]  # the other has got no picture yet
    assert sequences_go_on(playing.until_video(20))
    camera.order("heal")
    playing.until(lambda packet: packet.is_video and 5 in packet.nal_types)


def test_garbage_has_right_headers_and_a_random_payload(
    camera: Camera, playing: Conversation
) -> None:
    """Sequence and timestamps go on; payloads are spread over all byte values."""
    camera.order("garbage")
    seen = playing.until_video(40)
    assert sequences_go_on(seen)
    for channel in (0, 2):
        garbage = [packet for packet in seen if packet.channel == channel][-20:]
        assert len({packet.payload[0] for packet in garbage}) > 10
        stamps = [packet.timestamp for packet in garbage]
        assert all(0 <= step < 90000 for step in map(ticks, pairwise(stamps)))
    camera.order("heal")
    playing.until(lambda packet: packet.is_video and 7 in packet.nal_types)


@pytest.mark.parametrize("by_s", [10, -10])
def test_a_jump_moves_timestamps_alone(camera: Camera, by_s: int) -> None:
    """One step of that size in each track; sequence numbers and pace do not notice."""
    with Conversation(camera.url("cam")) as client:
        seen = client.play().until_video(30)
        camera.order(f"jump by={by_s}s")
        seen += client.until_video(30)
    assert sequences_go_on(seen)
    for channel, rate_hz in ((0, 90000), (2, 48000)):
        stamps = [packet.timestamp for packet in seen if packet.channel == channel]
        leaps = [step for step in map(ticks, pairwise(stamps)) if abs(step) > rate_hz]
        assert len(leaps) == 1
        assert abs(leaps[0] - by_s * rate_hz) < rate_hz
    assert max(later.at_s - earlier.at_s for earlier, later in pairwise(seen)) < SILENCE_S


def test_stutter_leaves_in_bursts(camera: Camera, playing: Conversation) -> None:
    """Some pictures leave far later than their timestamps say, until it is healed."""
    camera.order("stutter gap=500ms")
    seen = playing.until_video(80)
    pictures = [packet for packet in seen if packet.is_video]
    late_s = [
        later.at_s - earlier.at_s - ticks((earlier.timestamp, later.timestamp)) / 90000
        for earlier, later in pairwise(pictures)
    ]
    assert max(late_s) > 0.06
    assert sequences_go_on(seen)


def size_of(url: str) -> str:
    """Return codec and size of what a client is told and sent."""
    look = "ffprobe -v error -rtsp_transport tcp -select_streams v -of csv=p=0 -show_entries"
    shown = subprocess.run(
        [*look.split(), "stream=codec_name,width,height", url],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return shown.stdout.strip()


def parameter_sets(packets: list[Packet]) -> set[bytes]:
    """Return the sequence parameter sets that came in band."""
    return {nal for packet in packets if packet.is_video for nal in packet.nals if nal[0] & 31 == 7}


def test_the_resolution_changes_in_band(camera: Camera, playing: Conversation) -> None:
    """A running session gets new parameter sets and loses nothing; a new one sees the new size."""
    seen = playing.until_video(30)
    (before,) = parameter_sets(seen)
    camera.order("resolution size=320x240")
    seen += playing.until(
        lambda packet: (
            packet.is_video and any(nal[0] & 31 == 7 and nal != before for nal in packet.nals)
        )
    )
    assert sequences_go_on(seen)
    assert size_of(camera.url("cam")) == "h264,320,240"
    camera.order("heal")
    playing.until(lambda packet: packet.is_video and before in packet.nals)
    assert phases(camera, "resolution") == [Phase.BEGAN, Phase.ENDED]


def test_the_codec_changes_with_new_sessions(camera: Camera, playing: Conversation) -> None:
    """Viewers are sent away and find another SDP; others' pictures never waited for the encoder."""
    with Conversation(camera.url("cam")) as client:
        assert "H264/90000" in client.describe()
    camera.order("codec name=h265")
    seen = list(playing.packets())
    assert max(later.at_s - earlier.at_s for earlier, later in pairwise(seen)) < SILENCE_S
    assert size_of(camera.url("cam")) == "hevc,640,360"
    camera.order("codec name=mjpeg after=1ms")
    wait_for(lambda: phases(camera, "codec") == [Phase.BEGAN, Phase.ENDED, Phase.BEGAN])
    assert size_of(camera.url("cam")) == "mjpeg,640,360"
    camera.order("heal")
    with Conversation(camera.url("cam")) as client:
        assert "H264/90000" in client.describe()


def test_faults_outlive_a_reboot(camera: Camera) -> None:
    """What was wrong before is wrong with the process that comes after, until it is healed."""
    camera.order("error-503")
    camera.reboot(after_s=0.1)
    camera.wait_until_ready()
    assert status(camera) == [503]
    camera.order("heal")
    assert status(camera) == [200]


def test_a_camera_can_be_broken_from_its_start() -> None:
    """The first connection meets the fault, for as long as was ordered."""
    with Camera("cam", faults=["refuse for=500ms"]) as camera:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", camera.port))
        while len(phases(camera, "refuse")) < 2:
            camera.wait_until_ready()
        assert status(camera) == [200]


def test_what_can_not_be_is_refused_and_changes_nothing(camera: Camera) -> None:
    """An unknown fault, a wrong value, nothing to heal: an error each, and the camera serves."""
    for line in ("explode", "stutter gap=3h", "resolution size=5x5", "heal freeze"):
        with pytest.raises(UsageError):
            camera.order(line)
    with pytest.raises(UsageError, match="there is no fault 'explode'"):
        Camera("cam", faults=["explode"])
    assert status(camera) == [200]
