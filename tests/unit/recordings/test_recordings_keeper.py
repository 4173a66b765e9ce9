"""The index, kept true by what workers say and by what is on the disks; files are made up."""

import asyncio
import errno
import os
import pwd
import re
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from stream_manager.pipelines.measurement import Measurement
from stream_manager.pipelines.messages import Hole, RecordedTrack, SegmentClosed, SegmentOpened
from stream_manager.recordings import Gap, IndexKeeper, find_gaps
from stream_manager.recordings import survey as survey_module
from stream_manager.recordings.catalogue import doubts
from stream_manager.store import (
    Segment,
    SegmentIndex,
    SegmentState,
    read_index,
    read_marks,
    read_segments,
)
from stream_manager.store.queries import read_doubts
from stream_manager.testing.clock import BEGINNING, FakeClock

VIDEO = RecordedTrack(kind="video", codec="H264", shape="1280x720")
OLD = BEGINNING - timedelta(hours=1)  # long before the manager: no announcement is under way


class World:
    """A state directory and a volume, and keepers of its index, one after another.

    durations_s: what measuring finds in a file by its name, 10 s in any other, None: nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.state_dir = folder / "state"
        self.state_dir.mkdir()
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.durations_s: dict[str, float | None] = {}
        self.measured: list[str] = []
        self.told: list[str] = []

    def play(self, script: Callable[[IndexKeeper], Coroutine[None, None, None]]) -> None:
        """Run a script with a keeper, as in one life of a manager."""

        async def life() -> None:
            index = SegmentIndex.open(self.state_dir, clock=self.clock, on_fault=self.told.append)
            with closing(index):
                keeper = IndexKeeper(index, clock=self.clock, measured=self._measure)
                keeper.configure({"main": self.volume})
                await keeper.audit.take_over()
                await script(keeper)

        asyncio.run(life())

    def segments(self) -> list[Segment]:
        """Return what the index holds."""
        return read_index(self.state_dir, read_segments)

    def states(self) -> dict[str, SegmentState]:
        """Return the state of every file in the index, by its name."""
        return {Path(it.path).name: it.state for it in self.segments()}

    def gaps(self) -> list[Gap]:
        """Return the gaps of "cam"."""
        marks = read_index(self.state_dir, lambda it: read_marks(it, "cam"))
        return find_gaps("cam", self.segments(), marks)

    def file(self, began_at: datetime, *, size: int = 940) -> Path:
        """Put a file on the volume."""
        stamp = f"{began_at:%Y-%m-%dT%H-%M-%S}.{began_at.microsecond // 1000:03}Z"
        path = self.volume / "cam" / f"{began_at:%Y-%m-%d}" / f"cam_{stamp}.ts"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((b"G" + bytes(187)) * (size // 188))  # as MPEG-TS looks
        return path

    async def _measure(self, paths: Sequence[Path]) -> AsyncIterator[Measurement]:
        for path in paths:
            self.measured.append(path.name)
            duration_s = self.durations_s.get(path.name, 10.0)
            if duration_s is None:
                yield Measurement(path=str(path), whole=False, error="no picture in it")
            else:
                yield Measurement(path=str(path), duration_s=duration_s, tracks=(VIDEO,))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Make an empty one."""
    return World(tmp_path)


def opened(path: Path, at: datetime, *, sequence: int = 1, epoch: int = 1) -> SegmentOpened:
    """Return what a worker says of a file that begins."""
    return SegmentOpened(
        part="record",
        epoch=epoch,
        sequence=sequence,
        path=str(path),
        began_at=at.timestamp(),
        container="ts",
        tracks=(VIDEO,),
        continues=sequence > 1,
    )


def closed(
    path: Path, *, sequence: int = 1, epoch: int = 1, size: int = 940, hole: Hole | None = None
) -> SegmentClosed:
    """Return what a worker says of a file of a minute that is finished."""
    return SegmentClosed(
        part="record",
        epoch=epoch,
        sequence=sequence,
        path=str(path),
        duration_s=60.0,
        bytes=size,
        holes=() if hole is None else (hole,),
    )


def test_a_file_is_in_the_index_from_its_first_picture_on(world: World) -> None:
    """Open first, then whole with its exact extent and its holes."""
    path = world.file(OLD)

    async def begin(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, OLD))

    async def both(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, OLD))
        hole = Hole(began_at=OLD.timestamp() + 5, ended_at=OLD.timestamp() + 6, cause="stall")
        keeper.closed("cam", closed(path, hole=hole))

    world.play(begin)
    (segment,) = world.segments()
    assert (segment.state, segment.ended_at, segment.bytes) == (SegmentState.OPEN, None, None)
    world.play(both)
    assert world.segments() == [
        Segment(
            stream="cam",
            volume="main",
            path=str(path.relative_to(world.volume)),
            began_at=OLD,
            duration_s=60.0,
            bytes=940,
            container="ts",
            tracks=(VIDEO,),
            epoch=1,
            sequence=1,
            holes=((OLD + timedelta(seconds=5), OLD + timedelta(seconds=6), "stall"),),
            state=SegmentState.WHOLE,
        )
    ]
    assert world.measured == []


def test_a_file_that_nothing_reached_is_forgotten(world: World) -> None:
    """The worker has removed it."""
    path = world.volume / "cam" / "2026-01-31" / "cam_2026-01-31T11-00-00.000Z.ts"

    async def script(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, OLD))
        keeper.closed("cam", closed(path, size=0))

    world.play(script)
    assert world.segments() == []


def test_what_a_crash_cut_off_is_measured(world: World) -> None:
    """It counts as far as it can be played; a file without a picture goes, one unreadable stays."""
    files = [world.file(OLD + timedelta(minutes=number)) for number in range(3)]
    files[1].write_bytes(b"")
    world.durations_s = {files[0].name: 41.5, files[2].name: None}

    async def script(keeper: IndexKeeper) -> None:
        for number, path in enumerate(files, start=1):
            keeper.opened("cam", opened(path, OLD, sequence=number))
        keeper.ended("cam")
        await keeper.audit.settle()

    world.play(script)
    assert world.states() == {
        files[0].name: SegmentState.TRUNCATED,
        files[2].name: SegmentState.UNREADABLE,
    }
    assert {it.duration_s for it in world.segments()} == {41.5, 0.0}
    assert not files[1].exists()


def test_what_an_earlier_manager_left_open_is_measured(world: World) -> None:
    """It was killed, and its workers with it; the gap since is told to be its absence."""
    began_at = BEGINNING + timedelta(seconds=1)
    path = world.file(began_at)
    path.write_bytes(path.read_bytes()[:-1])  # cut off within a packet
    world.durations_s = {path.name: 20.0}

    async def killed(keeper: IndexKeeper) -> None:
        keeper.started("cam")
        keeper.opened("cam", opened(path, began_at))

    async def after(keeper: IndexKeeper) -> None:
        keeper.started("cam")
        await keeper.audit.settle()

    world.play(killed)
    world.clock.now_s += 300.0
    world.play(after)
    assert world.states() == {path.name: SegmentState.TRUNCATED}
    last = world.gaps()[-1]
    assert (last.began_at, last.cause) == (began_at + timedelta(seconds=20), "manager")


def test_what_a_worker_finished_without_its_manager_is_whole(world: World) -> None:
    """It ended its file in order when it saw that nobody was there any more."""
    path = world.file(OLD)

    async def killed(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, OLD))

    async def after(keeper: IndexKeeper) -> None:
        await keeper.audit.settle()

    world.play(killed)
    world.play(after)
    assert world.states() == {path.name: SegmentState.WHOLE}


def test_a_manager_that_ended_in_order_is_no_mystery(world: World) -> None:
    """What it stopped itself needs no other explanation at the next start."""

    async def script(keeper: IndexKeeper) -> None:
        keeper.started("cam")
        keeper.stopped("cam", "manager")

    async def after(keeper: IndexKeeper) -> None:
        keeper.started("cam")

    world.play(script)
    world.clock.now_s += 300.0
    world.play(after)
    assert [gap.cause for gap in world.gaps()] == ["stopped"]


def test_a_fault_that_tells_more_takes_the_place_of_the_first(world: World) -> None:
    """One mark a gap, from the instant it began, with the length of the outage in the end."""

    async def script(keeper: IndexKeeper) -> None:
        at = BEGINNING + timedelta(seconds=1)
        keeper.started("cam")
        keeper.failed("cam", at, "network", "eos")
        keeper.failed("cam", at, "auth", "gst-resource-error:15")
        keeper.failed("cam", at + timedelta(seconds=5), "stall", "stall")
        keeper.repaired("cam", 30.0)
        keeper.repaired("cam", 99.0)  # of an outage that began with no fault here

    world.play(script)
    marks = read_index(world.state_dir, lambda it: read_marks(it, "cam"))
    told = [(mark.cause, mark.outage_s) for mark in marks]
    assert told == [("starting", None), ("auth", 30.0), ("stall", 30.0)]


def test_a_restart_that_brings_nothing_is_explained_by_what_it_met(world: World) -> None:
    """The command explains the moment that it took, and not the hours after it."""
    path = world.file(OLD)

    async def script(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, BEGINNING - timedelta(seconds=60)))
        keeper.closed("cam", closed(path))
        keeper.restarted("cam")
        keeper.failed("cam", BEGINNING + timedelta(seconds=1), "network", "ECONNREFUSED")

    world.play(script)
    assert [gap.cause for gap in world.gaps()] == ["restarted", "network"]


def test_files_that_nobody_announced_are_adopted(world: World) -> None:
    """By their names and what they hold; what is not ours is let be, and so are links."""
    path = world.file(OLD)
    (path.parent / "notes.txt").write_text("mine")
    (path.parent / "other_2026-01-31T11-00-00.000Z.ts").write_bytes(b"G")
    (path.parent / "cam_2026-01-31T11-30-00.000Z.ts").symlink_to(path)

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    world.play(script)
    (segment,) = world.segments()
    assert segment.began_at == OLD
    assert (segment.duration_s, segment.bytes, segment.tracks) == (10.0, 940, (VIDEO,))
    assert segment.state is SegmentState.WHOLE
    assert world.measured == [path.name]


def test_a_file_that_has_just_begun_is_waited_for(world: World) -> None:
    """Its announcement is still on its way: it is no unknown file yet, but will be in a minute."""
    world.file(BEGINNING + timedelta(seconds=1))

    async def script(keeper: IndexKeeper) -> None:
        world.clock.now_s += 2.0
        await keeper.audit.reconcile()
        assert world.measured == []
        world.clock.now_s += 60.0
        await keeper.audit.reconcile()

    world.play(script)
    assert len(world.segments()) == 1


def record(world: World, count: int) -> list[Path]:
    """Record so many files of a minute, one after another."""
    files = [world.file(OLD + timedelta(minutes=number)) for number in range(count)]

    async def script(keeper: IndexKeeper) -> None:
        keeper.started("cam")
        for number, path in enumerate(files, start=1):
            at = OLD + timedelta(minutes=number - 1)
            keeper.opened("cam", opened(path, at, sequence=number))
            keeper.closed("cam", closed(path, sequence=number))

    world.play(script)
    return files


def test_a_deleted_file_becomes_a_gap(world: World) -> None:
    """With its cause, and none of the others is touched."""
    files = record(world, 3)
    files[1].unlink()

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    before = world.segments()
    world.play(script)
    missing = replace(before[1], state=SegmentState.MISSING)
    assert world.segments() == [before[0], missing, before[2]]
    found = world.gaps()[0]
    assert found.cause == "file-missing"
    assert found.began_at == OLD + timedelta(minutes=1)
    assert found.ended_at == OLD + timedelta(minutes=2)


def test_a_file_that_is_there_again_is_no_gap(world: World) -> None:
    """Its directory was away for a while: what it holds is measured again."""
    files = record(world, 3)
    away = files[1].rename(files[1].with_suffix(".away"))

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    world.play(script)
    away.rename(files[1])
    world.play(script)
    assert set(world.states().values()) == {SegmentState.WHOLE}
    assert world.segments()[1].sequence == 2


def test_what_was_before_the_first_file_is_forgotten(world: World) -> None:
    """Old recordings were deleted on purpose: they and their marks are nobody's gap any more."""
    files = record(world, 5)
    for path in files[:2]:
        path.unlink()

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    world.play(script)
    assert sorted(world.states()) == [path.name for path in files[2:]]
    assert all(gap.began_at >= OLD + timedelta(minutes=5) for gap in world.gaps())


def test_a_directory_that_can_not_be_read_deletes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk with errors tells nothing of its files: the index stays, and it is tried again."""
    record(world, 3)
    before = world.segments()

    def broken(_path: object) -> object:
        raise OSError(errno.EIO, "Input/output error")

    async def script(keeper: IndexKeeper) -> None:
        monkeypatch.setattr(os, "scandir", broken)
        assert not await keeper.audit.reconcile()

    world.play(script)
    assert world.segments() == before


def test_an_index_that_can_not_be_read_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing known and nothing told are two things: what was found would lose its numbers."""
    record(world, 3)
    before = world.segments()

    async def script(keeper: IndexKeeper) -> None:
        def broken(*_: object, **__: object) -> object:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr("stream_manager.recordings.audit.read_segments", broken)
        assert not await keeper.audit.reconcile()

    world.play(script)
    monkeypatch.undo()
    assert world.segments() == before
    assert world.measured == []


def test_a_volume_may_get_another_name(world: World) -> None:
    """Its files are the same: they are known once, under the new one, and so is what follows."""
    files = record(world, 2)
    new = world.file(BEGINNING)

    async def script(keeper: IndexKeeper) -> None:
        keeper.configure({"other": world.volume})
        keeper.opened("cam", opened(new, BEGINNING, sequence=3))
        await keeper.audit.reconcile()

    world.play(script)
    assert [(it.volume, Path(it.path).name) for it in world.segments()] == [
        ("other", path.name) for path in (*files, new)
    ]


def test_a_volume_may_move_while_files_are_finished(world: World) -> None:
    """A worker still closes what it began where the volume was before."""
    path = world.file(OLD)

    async def script(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, OLD))
        keeper.configure({"main": world.volume.parent / "elsewhere"})
        keeper.closed("cam", closed(path))

    world.play(script)
    assert set(world.states().values()) == {SegmentState.WHOLE}


async def survey(keeper: IndexKeeper) -> None:
    """Compare files and index."""
    assert await keeper.audit.reconcile()


def unmount(world: World) -> Path:
    """Leave an empty directory where the volume was; return where its disk is now."""
    disk = world.volume.rename(world.volume.with_name("disk"))
    world.volume.mkdir()
    return disk


def doubted(world: World) -> dict[str, int]:
    """Return how many files of each volume seem to be gone."""
    return {id_: it.missed for id_, it in read_index(world.state_dir, read_doubts).items()}


def test_new_recordings_do_not_make_up_for_a_lost_disk(world: World) -> None:
    """Files that came since on the bare mount point change nothing: the old ones stay known."""
    files = record(world, 3)
    world.play(survey)
    unmount(world)
    later = [world.file(OLD + timedelta(minutes=10 + number)) for number in range(9)]
    world.play(survey)
    world.play(survey)
    assert sorted(world.states()) == [path.name for path in (*files, *later)]
    assert set(world.states().values()) == {SegmentState.WHOLE}


def test_a_volume_that_bears_its_mark_has_lost_what_is_not_there(world: World) -> None:
    """Whoever made room on a full disk deleted most of it: the index and its marks go along."""
    files = record(world, 9)
    world.play(survey)
    for path in (*files[:6], files[7]):
        path.unlink()
    world.play(survey)
    assert world.states() == {
        files[6].name: SegmentState.WHOLE,
        files[7].name: SegmentState.MISSING,
        files[8].name: SegmentState.WHOLE,
    }
    assert world.gaps()[0].began_at == OLD + timedelta(minutes=7)
    assert world.gaps()[0].cause == "file-missing"
    assert doubted(world) == {}


def test_a_disk_that_is_mounted_again_ends_the_doubt(world: World) -> None:
    """An unmounted one has no mark, and never gets one: its files stay as they were last seen."""
    files = record(world, 3)
    world.play(survey)
    disk = unmount(world)
    for _ in range(2):
        world.play(survey)
        assert set(world.states().values()) == {SegmentState.WHOLE}
        assert doubted(world) == {"main": len(files)}
    assert list(world.volume.iterdir()) == []
    world.volume.rmdir()
    disk.rename(world.volume)
    world.play(survey)
    assert doubted(world) == {}
    assert set(world.states().values()) == {SegmentState.WHOLE}


def mount(world: World) -> Path:
    """Put an empty disk where the volume's directory is; return where that is now."""
    below = world.volume.rename(world.volume.with_name("below"))
    world.volume.mkdir()
    return below


def drop_off(world: World, below: Path) -> None:
    """Uncover what is below the volume's disk again."""
    world.volume.rename(world.volume.with_name("disk"))
    below.rename(world.volume)


def test_a_mount_point_that_was_marked_first_does_not_pass_for_its_disk(world: World) -> None:
    """The first start came before the mount: mount point and disk bear two marks."""
    world.play(survey)
    below = mount(world)
    files = [world.file(OLD + timedelta(minutes=number)) for number in range(10)]
    world.play(survey)
    assert world.states() == {path.name: SegmentState.WHOLE for path in files}
    drop_off(world, below)
    world.play(survey)
    assert doubted(world) == {"main": 10}
    assert set(world.states().values()) == {SegmentState.WHOLE}


def test_a_mark_that_cannot_be_written_is_not_that_of_the_mount_point(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes no mark is not known by the one of the directory below it."""

    def read_only(_root: Path, _id: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    world.play(survey)
    below = mount(world)
    record(world, 3)
    with monkeypatch.context() as patched:
        patched.setattr("stream_manager.recordings.audit.write_marker", read_only)
        world.play(survey)
    drop_off(world, below)
    world.play(survey)
    assert doubted(world) == {"main": 3}


def test_a_mark_that_an_operator_wrote_is_drawn_anew(world: World) -> None:
    """What the log named may be the mark of the mount point, where something was recorded first."""
    record(world, 3)
    world.play(survey)
    told = (world.volume / ".stream-manager-volume").read_text()
    below = mount(world)
    world.play(survey)
    assert doubted(world) == {"main": 3}
    (world.volume / ".stream-manager-volume").write_text(told)
    world.play(survey)
    assert doubted(world) == {}
    kept = [world.file(OLD + timedelta(minutes=20 + number)) for number in range(5)]
    world.play(survey)
    drop_off(world, below)
    world.play(survey)
    assert doubted(world) == {"main": 5}
    assert {it: world.states()[it] for it in (path.name for path in kept)} == {
        path.name: SegmentState.WHOLE for path in kept
    }


def test_a_disk_that_is_mounted_during_a_survey_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen before was the directory below it: nothing follows from that."""
    record(world, 3)
    world.play(survey)
    before, disk = world.segments(), unmount(world)

    def seen(*_: object, **__: object) -> object:
        world.volume.rmdir()
        disk.rename(world.volume)
        monkeypatch.undo()
        return survey_module.survey(world.volume / "nothing", "cam", before, before=OLD)

    async def script(keeper: IndexKeeper) -> None:
        monkeypatch.setattr("stream_manager.recordings.audit.survey", seen)
        assert not await keeper.audit.reconcile()
        assert await keeper.audit.reconcile()

    world.play(script)
    assert world.segments() == before


@pytest.mark.parametrize(
    ("stand_in", "mark"),
    [
        (lambda _: None, "is not there"),
        (lambda path: path.write_text(""), "holds no id"),
        (lambda path: path.write_text("0123456789abcdef"), "is another volume's"),
        (lambda path: path.mkdir(), "is no file"),
        (
            lambda path: path.symlink_to("elsewhere"),
            "can't be read (ELOOP: Too many levels of symbolic links)",
        ),
    ],
    ids=["absent", "empty", "another", "directory", "symlink"],
)
def test_an_operator_can_say_that_a_new_disk_is_the_volume(
    tmp_path: Path, stand_in: Callable[[Path], None], mark: str
) -> None:
    """By the mark that the log names; what was on the old one is then gone, and its causes stay."""
    folder = tmp_path / "it's here"
    folder.mkdir()
    world = World(folder)
    files = record(world, 3)
    world.play(survey)
    unmount(world)
    stand_in(world.volume / ".stream-manager-volume")
    with capture_logs() as logs:
        world.play(survey)
    (refusal,) = [it for it in logs if "if_it_is_and_they_are_gone" in it]
    assert refusal["mark"] == mark
    (warning,) = doubts(world.state_dir)
    assert f"its disk may not be mounted (its mark {mark})" in warning
    order = refusal["if_it_is_and_they_are_gone"]
    user = pwd.getpwuid(os.geteuid()).pw_name
    sudo = f'sudo() {{ [ "$1 $2" = "-u {user}" ] || exit 1; shift 2; "$@"; }}\n'
    subprocess.run(sudo + order, shell=True, check=True, stdout=subprocess.DEVNULL)
    world.play(survey)
    assert world.states() == {path.name: SegmentState.MISSING for path in files}
    assert world.gaps()[0].cause == "file-missing"
    world.file(OLD + timedelta(minutes=30))
    world.play(survey)  # takes it up
    world.play(survey)
    assert len(world.states()) == 1


def test_an_index_made_anew_knows_the_disk_by_the_mark_that_it_bears(world: World) -> None:
    """Two managers, too, may know one disk by one mark; one that is cut off is drawn anew."""
    files = record(world, 3)
    world.play(survey)
    marker = world.volume / ".stream-manager-volume"
    told = marker.read_text()
    for path in world.state_dir.glob("segments.db*"):
        path.unlink()
    world.play(survey)
    assert marker.read_text() == told
    marker.write_text("")
    world.play(survey)
    assert re.fullmatch("[0-9a-f]{16}\n", marker.read_text())
    assert marker.read_text() != told
    for path in files[:2]:
        path.unlink()
    world.play(survey)
    assert len(world.states()) == 1


def test_a_volume_that_can_not_be_marked_is_recorded_all_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told, and nothing is left behind; a loss of most of it is in doubt."""
    (world.volume / ".stream-manager-volume").mkdir()
    files = record(world, 3)
    world.play(survey)
    assert "a volume can't be marked as ours yet" in capsys.readouterr().out
    assert [it.name for it in world.volume.iterdir() if it.suffix] == []
    for path in files[:2]:
        path.unlink()
    world.play(survey)
    assert set(world.states().values()) == {SegmentState.WHOLE}


def test_older_recordings_on_another_volume_keep_their_causes(world: World) -> None:
    """What lies before the first file of one volume is not before the stream's first."""
    record(world, 2)
    other = world.volume.with_name("other")

    async def script(keeper: IndexKeeper) -> None:
        files = [other / "cam" / "x" / f"cam_2026-01-31T12-0{n}-00.000Z.ts" for n in (1, 2)]
        for number, path in enumerate(files, start=1):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"G" * 188)
            at = BEGINNING + timedelta(minutes=number)
            keeper.configure({"main": world.volume, "other": other})
            keeper.opened("cam", opened(path, at, sequence=number, epoch=2))
            keeper.closed("cam", closed(path, sequence=number, epoch=2, size=188))
        await survey(keeper)
        files[0].unlink()
        await survey(keeper)

    world.play(script)
    assert "starting" in [it.cause for it in world.gaps()]


def test_an_index_lost_while_running_is_filled_again(world: World) -> None:
    """What is being written stands in it again at once, the rest by the next survey."""
    files = record(world, 2)
    new = world.file(BEGINNING)

    async def script(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(new, BEGINNING, sequence=3))
        keeper.begin_anew()
        await keeper.audit.reconcile()

    for path in world.state_dir.iterdir():
        path.unlink()
    world.play(script)
    assert sorted(world.states()) == [path.name for path in (*files, new)]


def test_the_loss_of_most_files_at_once_is_refused(world: World) -> None:
    """That is a disk that is not mounted: the index keeps what it knows."""
    files = record(world, 3)
    before = world.segments()
    files[0].unlink()
    files[1].unlink()

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    world.play(script)
    assert world.segments() == before


def test_a_file_of_another_size_is_measured_again(world: World) -> None:
    """A file system that was repaired may have cut it off."""
    files = record(world, 3)
    files[1].write_bytes(b"G" * 300)
    world.durations_s = {files[1].name: 18.0}

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    world.play(script)
    changed = world.segments()[1]
    assert (changed.state, changed.bytes, changed.duration_s) == (SegmentState.TRUNCATED, 300, 18.0)


@pytest.mark.parametrize("harm", ["removed", "overwritten"])
def test_an_index_that_is_lost_is_made_anew_from_the_files(world: World, harm: str) -> None:
    """Set aside if it is broken; nothing of what was recorded is forgotten."""
    files = record(world, 3)
    database = world.state_dir / "segments.db"
    for path in world.state_dir.glob("segments.db-*"):
        path.unlink()
    if harm == "removed":
        database.unlink()
    else:
        database.write_bytes(b"no database at all" * 1000)

    async def script(keeper: IndexKeeper) -> None:
        await keeper.audit.reconcile()

    world.play(script)
    assert sorted(world.states()) == [path.name for path in files]
    aside = list(world.state_dir.glob("segments.db.corrupt-*"))
    assert len(aside) == len(world.told) == (harm == "overwritten")


def test_before_an_index_that_was_lost_nothing_is_known(world: World) -> None:
    """No manager ran for nearly all of that gap: only the time since its start is a start's."""
    files = record(world, 3)
    for path in world.state_dir.glob("segments.db*"):
        path.unlink()
    world.clock.now_s += 20.0
    began_at = BEGINNING + timedelta(seconds=20)
    new = world.file(began_at + timedelta(seconds=2))

    async def script(keeper: IndexKeeper) -> None:
        keeper.started("cam")
        keeper.opened("cam", opened(new, began_at + timedelta(seconds=2)))
        await keeper.audit.reconcile()

    world.play(script)
    assert len(world.states()) == len(files) + 1
    lost, start = world.gaps()[-2:]  # between the found ones, too, nothing is known
    assert (lost.cause, lost.ended_at) == ("unknown", began_at)
    assert (start.cause, start.began_at) == ("starting", began_at)


def test_a_file_whose_beginning_was_never_heard_is_measured(world: World) -> None:
    """The worker's news was lost on the way; its name tells the rest."""
    path = world.file(OLD)

    async def script(keeper: IndexKeeper) -> None:
        keeper.closed("cam", closed(path))
        await keeper.audit.settle()

    world.play(script)
    assert world.segments()[0].duration_s == 10.0


def test_times_come_back_as_they_were_written(world: World) -> None:
    """To the microsecond, in UTC."""
    began_at = datetime(2026, 1, 31, 10, 59, 59, 123456, tzinfo=UTC)
    path = world.file(began_at)

    async def script(keeper: IndexKeeper) -> None:
        keeper.opened("cam", opened(path, began_at))

    world.play(script)
    assert world.segments() == [replace(world.segments()[0], began_at=began_at)]
