import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.library import NOON, TRACKS, segment

from stream_manager.errors import OutsideError, UsageError
from stream_manager.pipelines.messages import RecordedTrack
from stream_manager.recordings.gaps import Gap
from stream_manager.recordings.joining import (
    Lack,
    Part,
    chosen,
    container_of,
    lacking,
    listing,
    positions_s,
    refuse_changes,
    refuse_long,
)
from stream_manager.recordings.times import Range
from stream_manager.store import Segment, SegmentState

SOUND = RecordedTrack(kind="audio", codec="AAC", shape="48000 Hz x 1")
MJPEG = RecordedTrack(kind="video", codec="JPEG", shape="1280x720")
FILE = Path("/tmp/out.ts")


def typed(words: str) -> str:
    """Return a command for a configuration with a blank in its name."""
    return f"./stream-manager {words} --config 'a b.toml'"


def parts(*segments: Segment) -> list[Part]:
    """Return parts that are read as a whole."""
    return [Part(segment=it, path=Path("/v") / it.path, bytes=1, whole=True) for it in segments]


def at(seconds: float) -> Range:
    """Return the hour that begins so many seconds after noon."""
    return Range(
        since=NOON + timedelta(seconds=seconds), until=NOON + timedelta(seconds=seconds + 3600)
    )


@pytest.mark.parametrize(
    ("starts", "positions"),
    [
        ([0, 10, 20], [0, 10, 20]),
        ([0, 60, 7200], [0, 60, 7200]),
        ([0, 9.999_999, 20], [0, 10, 20]),
        ([0, 4, 30], [0, 10, 30]),
    ],
    ids=["adjoining", "gaps", "rounding", "clock set back"],
)
def test_positions_are_wall_time(starts: Sequence[float], positions: Sequence[float]) -> None:
    """A gap stays a gap; what overlaps waits, and what follows is in its place again."""
    assert positions_s(parts(*(segment(it) for it in starts))) == pytest.approx(positions)


@pytest.mark.parametrize(
    ("segments", "positions"),
    [
        pytest.param([(0, 1), (8, 2), (18, 2)], [0, 8, 18], id="handover"),
        pytest.param([(0, 1), (8, 2), (10, 1), (18, 2)], [0, 8, 10, 18], id="over a boundary"),
        pytest.param([(0, 1), (8, 2), (12, 2)], [0, 8, 18], id="handover, then a clock set back"),
        pytest.param(
            [(0, 1), (10, 1), (3, 1), (5, 2)], [0, 10, 20, 20], id="a clock set back, then a crash"
        ),
    ],
)
def test_what_a_handover_recorded_twice_moves_nothing(
    segments: Sequence[tuple[float, int]], positions: Sequence[float]
) -> None:
    """Each epoch's files are in their places, as those of two recorders at work at once."""
    held = [segment(it, epoch=epoch) for it, epoch in segments]
    assert positions_s(parts(*held)) == pytest.approx(positions)


def test_a_successor_waits_for_its_own_files_alone() -> None:
    """Its first file may be a short one, for its sound came later."""
    former, short = segment(0, duration_s=12.0), segment(8, epoch=2, duration_s=1.0)
    positions = positions_s(parts(former, short, segment(9, epoch=2)))
    assert positions == pytest.approx([0, 8, 9])


def test_more_than_a_handover_takes_is_a_clock_that_was_set_back() -> None:
    """What was recorded in an hour is not rushed through."""
    hour = segment(0, duration_s=3600.0)
    assert positions_s(parts(hour, segment(1800, epoch=2))) == pytest.approx([0, 3600])


def test_an_entered_part_moves_what_follows() -> None:
    """The file begins with the keyframe at which the first part is entered."""
    first, second = parts(segment(0), segment(10))
    first = Part(
        segment=first.segment,
        path=first.path,
        bytes=1,
        whole=True,
        first_s=3600.0,
        inpoint_s=3604.0,
    )
    assert positions_s([first, second]) == pytest.approx([0, 6])
    assert listing([first, second]).splitlines()[2:4] == [
        "inpoint 3604.000000",
        "duration 6.000000",
    ]


def test_the_list_is_as_ffmpeg_reads_it() -> None:
    """Quotes are escaped, a part that is cut off is bounded, and a line break is refused."""
    quoted = Part(segment=segment(0), path=Path("/v/it's.ts"), bytes=1, whole=True)
    growing = Part(segment=segment(10), path=Path("/v/open.ts"), bytes=376, whole=False)
    assert listing([quoted, growing]).splitlines() == [
        "ffconcat version 1.0",
        r"file 'file:/v/it'\''s.ts'",
        "duration 10.000000",
        "file 'subfile,,start,0,end,376,,:/v/open.ts'",
    ]
    broken = Part(segment=segment(0), path=Path("/v/a\nfile /etc/passwd"), bytes=1, whole=True)
    with pytest.raises(OutsideError, match="line break"):
        listing([broken])


def test_the_last_segment_before_the_range_is_enough() -> None:
    """What overlaps its beginning by a picture is left out, and so is what can't be played."""
    found = [segment(0, duration_s=10.05), segment(10), segment(20, state=SegmentState.UNREADABLE)]
    assert chosen(found, at(10)) == [found[1]]
    assert chosen(found, at(5)) == found[:2]


@pytest.mark.parametrize(
    "changed",
    [
        segment(10, tracks=(RecordedTrack(kind="video", codec="H264", shape="640x360"),)),
        segment(10, tracks=(RecordedTrack(kind="video", codec="H265", shape="1280x720"),)),
        segment(10, container="mkv"),
    ],
    ids=["shape", "codec", "container"],
)
def test_changes_are_refused_with_the_commands_that_work(changed: Segment) -> None:
    """Each part has a command of its own, with the instants where it begins and ends."""
    with pytest.raises(UsageError) as refused:
        refuse_changes([segment(0), changed, segment(20)], at(5), Path("/tmp/my out.ts"), typed)
    commands = str(refused.value).splitlines()[1:]
    assert len(commands) == 3
    words = [shlex.split(line.partition(": ")[2]) for line in commands]
    instants = [
        [datetime.fromisoformat(it[it.index(option) + 1]) for option in ("--from", "--to")]
        for it in words
    ]
    cuts = [NOON + timedelta(seconds=at_s) for at_s in (5, 10, 20, 3605)]
    assert instants == [[*pair] for pair in pairwise(cuts)]
    assert [it[it.index("-o") + 1] for it in words] == [
        f"/tmp/my out-{number}.ts" for number in (1, 2, 3)
    ]
    assert {(it[0], *it[-2:]) for it in words} == {("./stream-manager", "--config", "a b.toml")}


def test_what_is_not_known_changes_nothing() -> None:
    """What was measured after a crash may tell less of its tracks, or nothing, as others do."""
    unknown = RecordedTrack(kind="video", codec="H264", shape="")
    refuse_changes(
        [segment(0, tracks=(*TRACKS, SOUND)), segment(10, tracks=(unknown, SOUND))],
        at(0),
        FILE,
        typed,
    )
    refuse_changes([segment(0, tracks=()), segment(10, tracks=())], at(0), FILE, typed)


@pytest.mark.parametrize("first", [(*TRACKS, SOUND), (SOUND, *TRACKS)], ids=["picture", "sound"])
def test_another_order_of_the_tracks_is_a_change(first: tuple[RecordedTrack, ...]) -> None:
    """Tracks are matched by position: sound among the pictures would be a broken file, untold."""
    alike = [segment(0, tracks=first), segment(10, tracks=first)]
    refuse_changes(alike, at(0), FILE, typed)
    with pytest.raises(UsageError, match="changes 1 times"):
        refuse_changes([*alike, segment(20, tracks=first[::-1])], at(0), FILE, typed)


def test_sound_may_be_missing_for_a_while() -> None:
    """What begins with picture and sound takes a segment without sound, and sound again."""
    whole, silent = (*TRACKS, SOUND), TRACKS
    alike = [segment(at_s, tracks=whole if at_s != 10 else silent) for at_s in (0, 10, 20)]
    refuse_changes(alike, at(0), FILE, typed)
    for first, second in ((silent, whole), (whole, (SOUND,)), (whole, ())):
        with pytest.raises(UsageError, match="changes 1 times"):
            refuse_changes(
                [segment(0, tracks=first), segment(10, tracks=second)], at(0), FILE, typed
            )


def lack(first_s: float, last_s: float) -> Lack:
    """Return a lack of sound."""
    began_at, ended_at = (NOON + timedelta(seconds=it) for it in (first_s, last_s))
    return Lack(kind="audio", position=1, began_at=began_at, ended_at=ended_at)


@pytest.mark.parametrize(
    ("silent", "found"),
    [
        ((), []),
        ((10, 20), [lack(10, 30)]),
        ((10, 30), [lack(10, 20), lack(30, 40)]),
        ((40, 60), [lack(40, 50), lack(60, 65)]),
    ],
    ids=["none", "adjoining", "sound between", "gap between, cut at the end"],
)
def test_sound_that_is_missing_is_told(silent: Sequence[int], found: Sequence[Lack]) -> None:
    """From the file's beginning to its end; where nothing at all is recorded that is a gap."""
    whole = (*TRACKS, SOUND)
    starts = (0, 10, 20, 30, 40, 60, 70)
    made = parts(*(segment(it, tracks=TRACKS if it in silent else whole) for it in starts))
    assert lacking(made, NOON + timedelta(seconds=65)) == found


def test_what_is_still_being_written_lacks_its_sound_up_to_now() -> None:
    """Its end is not known; the export's is."""
    growing = segment(10, tracks=TRACKS, duration_s=None, state=SegmentState.OPEN)
    made = parts(segment(0, tracks=(*TRACKS, SOUND)), growing)
    assert lacking(made, NOON + timedelta(seconds=14)) == [lack(10, 14)]


def test_the_suffix_tells_the_container() -> None:
    """An unknown one is refused with those there are, and a codec that does not fit is named."""
    assert container_of(FILE, [segment(0)]) == "ts"
    with pytest.raises(UsageError, match=r'suffix ".avi".*\.ts, \.mkv, \.mp4'):
        container_of(Path("out.avi"), [segment(0)])
    with pytest.raises(UsageError, match=r"JPEG does not fit .mp4 .*name FILE .mkv"):
        container_of(Path("out.mp4"), [segment(0, tracks=(MJPEG,))])


def test_containers_that_cannot_count_that_far_are_refused() -> None:
    """MPEG-TS begins anew after 26.5 hours, and MP4 can't hold a gap of half a day."""
    night = [
        Gap(
            stream="front-door",
            began_at=NOON,
            ended_at=NOON + timedelta(hours=12),
            cause="stopped",
        )
    ]
    with pytest.raises(UsageError, match="26 hours"):
        refuse_long("ts", [], NOON, NOON + timedelta(hours=27))
    with pytest.raises(UsageError, match="6 hours"):
        refuse_long("mp4", night, NOON, NOON + timedelta(hours=20))
    refuse_long("mkv", night, NOON, NOON + timedelta(days=30))
