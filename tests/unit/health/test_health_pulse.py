"""Proof and stalls, judged from the reports of a simulated worker."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from stream_manager.health import BORNE_FOR_S, Pulse, Rhythm, Stall
from stream_manager.pipelines.messages import Track, TrackProgress
from stream_manager.pipelines.pace import Pace

PULSE_S = 0.2
VERIFY_FOR_S = 1.0
VIDEO = Track(name="video", kind="video", codec="H264", caps="")
AUDIO = Track(name="audio", kind="audio", codec="AAC", caps="")


@dataclass
class Arrivals:
    """One simulated track: `times` yields when its buffers arrive, in order."""

    name: str
    times: Iterator[float]
    frames: int = 0
    first_s: float | None = None
    last_s: float | None = None
    key_s: float | None = None
    key_after: int = 0  # so many frames come before the first keyframe
    packets: Callable[[float], int] = lambda _: 0  # how many have come by an instant
    _next_s: float | None = field(default=None, init=False)

    def until(self, now_s: float) -> TrackProgress:
        """Return the reading that a worker makes at `now_s`."""
        gaps: list[float] = []
        while (self._next_s if self._next_s is not None else self._draw()) <= now_s:
            arrived_s, self._next_s = self._next_s or 0.0, None
            if self.last_s is not None:
                gaps.append(arrived_s - self.last_s)
            self.first_s = arrived_s if self.first_s is None else self.first_s
            self.last_s = arrived_s
            self.frames += 1
            if self.frames == self.key_after + 1:
                self.key_s = arrived_s
        mean_s = sum(gaps) / len(gaps) if gaps else 0.0
        variance = sum((gap - mean_s) ** 2 for gap in gaps) / len(gaps) if gaps else 0.0
        return TrackProgress(
            name=self.name,
            frames=self.frames,
            bytes=1000 * self.frames,
            first_s=self.first_s,
            key_s=self.key_s,
            last_s=self.last_s,
            gap_max_s=max(gaps, default=0.0),
            gap_mean_s=mean_s,
            gap_deviation_s=variance**0.5,
            packets=self.packets(now_s),
        )

    def _draw(self) -> float:
        self._next_s = next(self.times, float("inf"))
        return self._next_s


def is_proven(pulse: Pulse) -> bool:
    """Ask anew: a type checker would take the first answer for all time."""
    return pulse.proven


def first_picture_s(pulse: Pulse) -> float | None:
    """Ask anew, for the same reason."""
    return pulse.first_picture_s


def even(gap_s: float, *, begin_s: float = 0.0, end_s: float = float("inf")) -> Iterator[float]:
    """Yield arrivals at an even pace; none after `end_s`."""
    number = 0
    while (at_s := begin_s + number * gap_s) < end_s:
        yield at_s
        number += 1


def pulse_of(
    *tracks: Track,
    expected: tuple[str, ...] = (),
    stall_after_s: float | None = None,
    rhythms: dict[str, Rhythm] | None = None,
) -> Pulse:
    """Return a pulse as a stream makes it."""
    return Pulse(
        tracks=tracks,
        expected=expected,
        verify_for_s=VERIFY_FOR_S,
        stall_after_s=stall_after_s,
        rhythms=rhythms or {},
    )


def play(
    pulse: Pulse,
    arrivals: list[Arrivals],
    *,
    until_s: float,
    since_s: float = 0.0,
    late: Callable[[], float] = lambda: 0.0,
    output: Callable[[float], float | None] = lambda _: None,
) -> tuple[float, Stall] | None:
    """Report five times a second, each report `late()` seconds late; return the first stall."""
    due_s = since_s
    while due_s < until_s:
        due_s += PULSE_S
        late_s = late()
        at_s = due_s + late_s
        readings = [it.until(at_s) for it in arrivals]
        if stall := pulse.hear(readings, at_s=at_s, late_s=late_s, output_last_s=output(at_s)):
            return at_s, stall
        due_s = at_s
    return None


def stuttering(seed: int, *, stutter_s: float) -> Iterator[float]:
    """Yield 25 frames a second, held back now and then, with the noise of a busy machine."""
    draw = random.Random(seed)
    at_s, held_until_s, number = 0.0, 0.0, 0
    while True:
        due_s = number * 0.04 + abs(draw.gauss(0, 0.004))
        number += 1
        if due_s >= held_until_s and draw.random() < 0.02:
            held_until_s = at_s + draw.uniform(0.04, stutter_s)
        at_s = max(at_s, due_s, held_until_s)
        yield at_s


def test_ten_minutes_of_stutter_are_no_stall() -> None:
    """Gaps of up to 300 ms and a worker that is late now and then never look like a freeze."""
    for seed in range(3):
        draw = random.Random(seed)
        pulse = pulse_of(VIDEO)
        camera = Arrivals("video", stuttering(seed, stutter_s=0.3))
        noise = lambda: draw.choice((0.0, 0.0, 0.002, 0.05))  # noqa: B023, E731 - used at once
        assert play(pulse, [camera], until_s=600.0, late=noise) is None
        assert camera.frames > 14_000


def test_a_freeze_is_found_within_a_second() -> None:
    """At 25 frames a second, learned from even frames, whenever between reports it begins."""
    for offset in range(10):
        frozen_s = 30.0 + 0.02 * offset
        found = play(pulse_of(VIDEO), [Arrivals("video", even(0.04, end_s=frozen_s))], until_s=60.0)
        assert found is not None
        at_s, stall = found
        assert at_s - frozen_s < 1.0
        assert stall.track == "video"
        assert stall.silent_s > stall.allowed_s


def test_a_freeze_is_found_as_soon_when_only_news_is_reported() -> None:
    """What a worker keeps to itself while pictures come delays nothing when they cease."""
    for offset in range(10):
        frozen_s = 30.0 + 0.02 * offset
        cameras = [Arrivals("video", even(0.04, end_s=frozen_s)) for _ in range(2)]
        each_look = play(pulse_of(VIDEO), cameras[:1], until_s=60.0)
        camera, pulse, pace = cameras[1], pulse_of(VIDEO), Pace()
        reports, found = 0, None
        for number in range(1, 300):
            at_s = number * PULSE_S
            reading = camera.until(at_s)
            if pace.is_due((reading,), (), at_s):
                reports += 1
                stall = pulse.hear((reading,), at_s=at_s, late_s=0.0, output_last_s=None)
                if stall is not None:
                    found = at_s
                    break
        assert each_look is not None
        assert found == pytest.approx(each_look[0])
        assert reports < 60


@pytest.mark.parametrize(
    ("per_s_after", "told"), [(100, True), (60, True), (20, False), (0, False)]
)
def test_packets_without_pictures_are_told_from_silence(per_s_after: int, *, told: bool) -> None:
    """A camera that sends garbage sends as much as before; a slow network, or none, brings less."""
    stops_s = 10.0

    def packets(now_s: float) -> int:
        # The last picture of a camera that freezes may have begun to arrive.
        return int(100 * min(now_s, stops_s + 0.03) + per_s_after * max(0.0, now_s - stops_s))

    camera = Arrivals("video", even(0.04, end_s=stops_s), packets=packets)
    found = play(pulse_of(VIDEO), [camera], until_s=60.0)
    assert found is not None
    assert (found[1].packets > 0) is told


def test_garbage_before_the_first_picture_does_not_count_as_usual() -> None:
    """A run may begin in it: what came until then was not for one picture."""
    camera = Arrivals(
        "video",
        even(0.04, begin_s=0.61, end_s=3.0),
        packets=lambda now_s: int(100 * now_s),
    )
    found = play(pulse_of(VIDEO), [camera], until_s=60.0)
    assert found is not None
    assert found[1].packets > 0


def test_a_busy_machine_may_look_at_no_packet_for_the_time_between_two_reports() -> None:
    """The camera sends garbage as fast as before, and 200 ms of it come late."""
    pulse = pulse_of(VIDEO)
    camera = Arrivals(
        "video", even(0.04, end_s=10.0), packets=lambda now_s: int(100 * min(now_s, 10.5))
    )
    assert play(pulse, [camera], until_s=10.2) is None
    for at_s in (10.4, 10.6):
        assert pulse.hear([camera.until(at_s)], at_s=at_s, late_s=0.0, output_last_s=None) is None
    stall = pulse.hear([camera.until(10.8)], at_s=10.8, late_s=0.0, output_last_s=None)
    assert stall is not None
    assert stall.packets > 0


def test_the_usual_is_what_came_lately() -> None:
    """After a lively hour a quiet scene's garbage is still told from silence."""
    stops_s = 120.0

    def packets(now_s: float) -> int:
        return int(400 * min(now_s, 60.0) + 100 * max(0.0, now_s - 60.0))

    camera = Arrivals("video", even(0.04, end_s=stops_s), packets=packets)
    found = play(pulse_of(VIDEO), [camera], until_s=150.0)
    assert found is not None
    assert found[1].packets > 0


def test_packets_that_ceased_too_are_a_silence() -> None:
    """The rest of a picture that came in one burst does not make a frozen camera garbage."""
    stops_s = 10.0

    def packets(now_s: float) -> int:
        return int(100 * min(now_s, stops_s)) + (80 if now_s > stops_s + 0.1 else 0)

    camera = Arrivals("video", even(0.04, end_s=stops_s), packets=packets)
    found = play(pulse_of(VIDEO), [camera], until_s=60.0)
    assert found is not None
    assert found[1].packets == 0


def test_a_freeze_after_stutter_is_found_soon() -> None:
    """What a stuttering camera has taught costs a fraction of a second."""
    frozen_s = 60.0
    frames = (at_s for at_s in stuttering(7, stutter_s=0.3))
    held = iter([at_s for at_s in (next(frames) for _ in range(1500)) if at_s < frozen_s])
    found = play(pulse_of(VIDEO), [Arrivals("video", held)], until_s=90.0)
    assert found is not None
    assert found[0] - frozen_s < 1.2


def test_a_late_worker_excuses_as_much_silence() -> None:
    """A worker that was itself held up for two seconds finds no stall in them."""
    pulse = pulse_of(VIDEO)
    camera = Arrivals("video", even(0.04, end_s=10.0))
    assert play(pulse, [camera], until_s=10.0) is None
    reading = camera.until(12.0)
    for at_s in (12.0, 12.2):
        assert pulse.hear([reading], at_s=at_s, late_s=2.0, output_last_s=None) is None


def test_a_late_manager_finds_no_stall() -> None:
    """Silence is judged by the instants that the worker wrote, not by when they are read."""
    pulse = pulse_of(VIDEO)
    camera = Arrivals("video", even(0.04))
    assert play(pulse, [camera], until_s=60.0) is None


def test_one_silent_report_is_not_enough() -> None:
    """A second report in a row has to agree; one that brings media again starts over."""
    pulse = pulse_of(VIDEO)
    camera = Arrivals("video", even(0.04, end_s=10.0))
    assert play(pulse, [camera], until_s=10.0) is None
    silent = camera.until(10.7)
    assert pulse.hear([silent], at_s=10.7, late_s=0.0, output_last_s=None) is None
    camera.times = even(0.04, begin_s=10.75)
    camera._next_s = None
    assert pulse.hear([camera.until(10.9)], at_s=10.9, late_s=0.0, output_last_s=None) is None
    assert pulse.hear([camera.until(11.1)], at_s=11.1, late_s=0.0, output_last_s=None) is None


def test_outputs_that_still_write_contradict_a_stall() -> None:
    """Two signals: no buffers in the source, and no progress at the outputs."""
    frozen = [Arrivals("video", even(0.04, end_s=10.0))]
    found = play(pulse_of(VIDEO), frozen, until_s=14.0, output=lambda at_s: at_s - 0.1)
    assert found is None
    frozen = [Arrivals("video", even(0.04, end_s=10.0))]
    found = play(pulse_of(VIDEO), frozen, until_s=14.0, output=lambda at_s: min(at_s, 10.0))
    assert found is not None


def test_audio_alone_is_a_stall() -> None:
    """A recorder that goes on writing sound does not hide a lost picture."""
    tracks = [Arrivals("video", even(0.04, end_s=10.0)), Arrivals("audio", even(0.02))]
    found = play(pulse_of(VIDEO, AUDIO), tracks, until_s=14.0, output=lambda at_s: at_s)
    assert found is not None
    assert found[1].track == "video"
    assert found[0] < 11.0


def test_silent_audio_is_no_stall() -> None:
    """It is missing, not stalled: the picture goes on being recorded."""
    tracks = [Arrivals("video", even(0.04)), Arrivals("audio", even(0.02, end_s=10.0))]
    pulse = pulse_of(VIDEO, AUDIO)
    assert play(pulse, tracks, until_s=30.0) is None
    assert pulse.missing == {"audio"}


def test_nothing_is_missing_from_a_source_that_is_silent_altogether() -> None:
    """A short freeze of everything makes no stream degraded on its way to a stall."""
    tracks = [Arrivals("video", even(0.04, end_s=10.0)), Arrivals("audio", even(0.02, end_s=10.0))]
    pulse = pulse_of(VIDEO, AUDIO)
    assert play(pulse, tracks, until_s=20.0) is not None
    assert pulse.missing == frozenset()


def test_a_track_that_went_missing_is_borne_then_accepted() -> None:
    """Its absence is timed, and once it is accepted nothing is missing."""
    tracks = [Arrivals("video", even(0.04)), Arrivals("audio", iter(()))]
    pulse = pulse_of(VIDEO, AUDIO)
    play(pulse, tracks, until_s=9.0)
    assert pulse.proven
    assert pulse.missing == {"audio"}
    assert 0 < pulse.missed_for_s(9.0) < BORNE_FOR_S
    play(pulse, tracks, since_s=9.0, until_s=14.0)
    assert pulse.missed_for_s(14.0) >= BORNE_FOR_S
    pulse.accept_missing()
    play(pulse, tracks, since_s=14.0, until_s=30.0)
    assert pulse.missing == frozenset()
    assert pulse.promised == {"video"}
    assert pulse.missed_for_s(30.0) == 0.0


def test_a_track_of_the_last_run_is_expected() -> None:
    """A camera that comes back without its sound is proven by its picture, and misses the sound."""
    pulse = pulse_of(VIDEO, expected=("video", "audio"))
    play(pulse, [Arrivals("video", even(0.04))], until_s=2.0)
    assert not is_proven(pulse)
    play(pulse, [Arrivals("video", even(0.04, begin_s=2.0))], since_s=2.0, until_s=6.0)
    assert pulse.proven
    assert pulse.missing == {"audio"}


def test_every_track_is_verified() -> None:
    """Proof needs a second of media on the slower track too."""
    tracks = [Arrivals("video", even(0.04)), Arrivals("audio", even(0.02, begin_s=1.0))]
    pulse = pulse_of(VIDEO, AUDIO)
    play(pulse, tracks, until_s=1.7)
    assert not is_proven(pulse)
    play(pulse, tracks, since_s=1.8, until_s=2.4)
    assert pulse.proven
    assert pulse.first_media_s == 0.0


def test_nothing_but_video_proves_a_run() -> None:
    """Sound alone is no proof, and no media is no stall: the start's deadline is for that."""
    pulse = pulse_of(VIDEO, AUDIO)
    tracks = [Arrivals("video", iter(())), Arrivals("audio", even(0.02))]
    assert play(pulse, tracks, until_s=20.0) is None
    assert not is_proven(pulse)
    assert pulse.last_media_s is None
    silent = pulse_of(AUDIO)
    assert play(silent, [Arrivals("audio", even(0.02))], until_s=20.0) is None
    assert not silent.proven


def test_low_rates_are_no_stall() -> None:
    """Cameras with a picture every one, two or four seconds are proven and left alone."""
    for gap_s in (1.0, 2.0, 4.0):
        pulse = pulse_of(VIDEO)
        assert play(pulse, [Arrivals("video", even(gap_s))], until_s=300.0) is None
        assert pulse.proven
        assert pulse.allowed_s("video") >= 2 * gap_s


def test_a_slow_source_that_freezes_is_found() -> None:
    """Its own rhythm, bounded, is how long that takes."""
    found = play(pulse_of(VIDEO), [Arrivals("video", even(1.0, end_s=60.5))], until_s=90.0)
    assert found is not None
    assert found[0] - 60.0 < 3.0


def test_a_start_that_is_not_proven_yet_has_its_own_deadline() -> None:
    """A first frame and then silence is a start that goes wrong, not a stall of what worked."""
    pulse = pulse_of(VIDEO)
    assert play(pulse, [Arrivals("video", even(0.04, end_s=0.5))], until_s=15.0) is None
    assert not is_proven(pulse)


def test_a_fixed_limit_replaces_the_learned_one() -> None:
    """A configured duration is neither widened nor narrowed."""
    pulse = pulse_of(VIDEO, stall_after_s=4.0)
    found = play(pulse, [Arrivals("video", even(0.04, end_s=20.0))], until_s=40.0)
    assert found is not None
    at_s, stall = found
    assert stall.allowed_s == 4.0
    assert 23.9 < at_s < 25.0


def test_what_earlier_runs_learned_counts_from_the_first_frame() -> None:
    """After a rebuild a freeze is found as fast as before it."""
    rhythm = Rhythm(frames=1000, mean_s=0.04, deviation_s=0.002, peak_s=0.05)
    pulse = pulse_of(VIDEO, rhythms={"video": rhythm})
    found = play(pulse, [Arrivals("video", even(0.04, end_s=1.5))], until_s=10.0)
    assert found is not None
    assert found[0] - 1.5 < 1.0


def test_a_camera_that_became_slower_is_not_restarted_for_ever() -> None:
    """What was learned at 25 frames a second gives way to one frame a second."""
    rhythm = Rhythm(frames=100_000, mean_s=0.04, deviation_s=0.0, peak_s=0.04)
    pulse = pulse_of(VIDEO, rhythms={"video": rhythm})
    assert play(pulse, [Arrivals("video", even(1.0))], until_s=60.0) is None
    assert pulse.proven


def test_readings_of_unknown_tracks_are_left_out() -> None:
    """What was not announced when the part started is not judged."""
    pulse = pulse_of(VIDEO)
    extra = Arrivals("other", even(0.04))
    assert play(pulse, [Arrivals("video", even(0.04)), extra], until_s=5.0) is None
    assert pulse.rhythms.keys() == {"video"}


def test_pictures_without_a_keyframe_prove_nothing() -> None:
    """Nobody can decode them; it is told for how long they came, until the first keyframe."""
    pulse = pulse_of(VIDEO)
    camera = Arrivals("video", even(0.04), key_after=250)
    assert play(pulse, [camera], until_s=8.0) is None
    assert not is_proven(pulse)
    assert pulse.undecodable_for_s(8.0) == pytest.approx(8.0)
    assert play(pulse, [camera], since_s=8.0, until_s=12.0) is None
    assert is_proven(pulse)
    assert pulse.undecodable_for_s(12.0) == 0.0
    assert first_picture_s(pulse) == pytest.approx(10.0)


def test_sound_that_comes_first_is_no_picture() -> None:
    """An outage ends with the first picture, and sound alone is not a stream without keyframes."""
    pulse = pulse_of(VIDEO, AUDIO)
    camera = [Arrivals("video", even(0.04, begin_s=6.0)), Arrivals("audio", even(0.02))]
    assert play(pulse, camera, until_s=5.0) is None
    assert first_picture_s(pulse) is None
    assert pulse.undecodable_for_s(5.0) == 0.0
    assert play(pulse, camera, since_s=5.0, until_s=10.0) is None
    assert first_picture_s(pulse) == 6.0
    assert pulse.first_media_s == 0.0
