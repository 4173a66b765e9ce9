import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from tests.unit.library import NOON, TS, Library, segment

from stream_manager.cli import segments as segments_command
from stream_manager.recordings import ffmpeg
from stream_manager.store import Mark, SegmentState

Cli = Callable[..., tuple[int, str, str]]
Json = dict[str, Any]
RECORDED = "no gaps of front-door: every second"
OPEN: Json = {"state": SegmentState.OPEN, "duration_s": None, "bytes": None}


class Manager:
    """A connection to one whose index fails."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, _path: str, **_: object) -> Json:
        """Return its status."""
        failing = {"state": "failing", "error": "disk full", "waiting": 3, "dropped": 0}
        return {"manager": {"state_dir": "/", "index": {**failing, "since": None}}}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Make recordings of 20 s, a gap of 40 s by a crash, then 10 s and an operator's stop."""
    made = Library(tmp_path)
    made.hold(
        segment(0),
        segment(10, continues=True),
        segment(60, epoch=2),
        Mark(
            stream="front-door",
            at=NOON + timedelta(seconds=20),
            cause="crash",
            code="SIGKILL",
            outage_s=40.5,
        ),
        Mark(
            stream="front-door", at=NOON + timedelta(seconds=70), cause="stopped", code="operator"
        ),
    )
    return made


@pytest.fixture
def ask(cli: Cli, library: Library) -> Callable[..., tuple[int, Any, str]]:
    """Run a command of `segments` with --json; return its exit code, answer and stderr."""

    def run(*arguments: str) -> tuple[int, Any, str]:
        code, out, err = cli("segments", *arguments, "--json", "--config", str(library.config))
        return code, json.loads(out) if out else None, err

    return run


def test_list_in_json(ask: Callable[..., tuple[int, Any, str]], library: Library) -> None:
    """Every field is there, in UTC, with the file's absolute path."""
    code, found, err = ask("list", "front-door")
    assert (code, err, len(found)) == (0, "", 3)
    assert found[0] == {
        "stream": "front-door",
        "began_at": "2026-01-31T12:00:00.000000Z",
        "ended_at": "2026-01-31T12:00:10.000000Z",
        "duration_s": 10.0,
        "bytes": len(TS),
        "container": "ts",
        "tracks": [{"kind": "video", "codec": "H264", "shape": "1280x720"}],
        "epoch": 1,
        "sequence": 1,
        "state": "whole",
        "volume": "main",
        "path": f"{library.root}/front-door/2026-01-31/front-door_2026-01-31T12-00-00.000Z.ts",
        "holes": [],
        "overlaps_s": 0.0,
    }


def test_list_for_people(cli: Cli, library: Library) -> None:
    """One row a file in local time, and the totals."""
    code, out, err = cli("segments", "list", "--config", str(library.config))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1].split("  ")[:2] == ["front-door", "2026-01-31 13:00:00.000"]
    assert lines[-1] == "3 files, 30 s, 5.6 kB"


def test_list_of_a_range(ask: Callable[..., tuple[int, Any, str]]) -> None:
    """It has what overlaps the range; local times are understood."""
    _, found, _ = ask("list", "--from", "2026-01-31 13:00:05", "--to", "2026-01-31T12:00:10Z")
    assert [it["sequence"] for it in found] == [1]


def test_gaps_are_clipped_to_the_range(ask: Callable[..., tuple[int, Any, str]]) -> None:
    """What a gap was, and how long of it lies in the range; the last one lasts."""
    code, found, err = ask("gaps")
    assert (code, err, [it["cause"] for it in found]) == (0, "", ["crash", "stopped"])
    assert (found[1]["ended_at"], found[1]["duration_s"]) == (None, None)
    _, clipped, _ = ask("gaps", "--from", "2026-01-31T12:00:30Z", "--to", "2026-01-31T12:00:40Z")
    assert clipped == [
        {
            "stream": "front-door",
            "began_at": "2026-01-31T12:00:30.000000Z",
            "ended_at": "2026-01-31T12:00:40.000000Z",
            "duration_s": 10.0,
            "cause": "crash",
            "code": "SIGKILL",
            "outage_s": 40.5,
        }
    ]


def test_gaps_for_people(cli: Cli, library: Library) -> None:
    """Each with its cause, and their sum."""
    where = ("--to", "2026-01-31T12:01:10Z", "--config", str(library.config))
    code, out, _ = cli("segments", "gaps", *where)
    assert code == 0
    assert "13:00:20.000  2026-01-31 13:01:00.000  40.00 s  crash  SIGKILL  40.50 s" in out
    assert out.splitlines()[-1] == "1 gap, 40.00 s"


def test_a_range_without_gaps_is_told_from_one_without_recordings(
    ask: Callable[..., tuple[int, Any, str]],
) -> None:
    """Both are empty lists, and the sentence tells which."""
    assert ask("gaps", "--from", "2026-01-31T12:00:01Z", "--to", "2026-01-31T12:00:09Z") == (
        0,
        [],
        f"{RECORDED} from 2026-01-31 13:00:01 to 2026-01-31 13:00:09 is recorded\n",
    )
    nothing = (
        "nothing is recorded in this range; recordings of front-door begin at"
        " 2026-01-31 13:00:00 and end at 2026-01-31 13:01:10\n"
    )
    for what in ("gaps", "list"):
        answer = ask(what, "front-door", "--from", "2025-01-01", "--to", "2025-01-02")
        assert answer == (0, [], nothing)


def test_without_gaps_it_is_told_what_of_the_range_is_recorded(
    cli: Cli, library: Library, ask: Callable[..., tuple[int, Any, str]]
) -> None:
    """Before the first recording, and in the future, nothing is, nor of a later stream."""
    told = "no gaps of {}: every second from 2026-01-31 13:01:05 to 2026-01-31 13:01:09 is recorded"
    later = "recordings of attic begin at 2026-01-31 13:05:00 and go on"
    began = "recordings of front-door begin at 2026-01-31 13:00:00 and"
    _, _, err = ask("gaps", "--from", "2026-01-31T11:00Z", "--to", "2026-01-31T12:00:09Z")
    assert err == (
        f"{RECORDED} from 2026-01-31 13:00:00 to 2026-01-31 13:00:09 is recorded;"
        f" {began} end at 2026-01-31 13:01:10\n"
    )
    library.hold(segment(70, continues=True, epoch=2, **OPEN), segment(0, stream="yard", **OPEN))
    library.hold(segment(300, stream="attic", **OPEN))
    where = ("--config", str(library.config))
    times = ("--from", "2026-01-31T12:01:05Z", "--to", "2026-01-31T12:01:09Z")
    _, out, _ = cli("segments", "gaps", *times, *where)
    assert out.splitlines() == [
        f"nothing of attic is recorded in this range; {later}",
        told.format("front-door"),
        told.format("yard"),
    ]
    _, out, _ = cli("segments", "gaps", "yard", "--from", "1min", "--to", "2100-01-01", *where)
    assert "2100" not in out
    assert out.endswith("; recordings of yard begin at 2026-01-31 13:00:00 and go on\n")


def test_an_unknown_stream_is_misuse(ask: Callable[..., tuple[int, Any, str]]) -> None:
    """The error names those that there are."""
    for command in ("list", "gaps", "verify"):
        code, _, err = ask(command, "garden")
        assert code == 2
        assert err == 'no recordings of "garden" are known; there are those of: front-door\n'


def test_verify_finds_nothing_wrong(cli: Cli, library: Library) -> None:
    """Files that are as indexed are counted by their states."""
    library.hold(
        segment(70, state=SegmentState.TRUNCATED, bytes=len(TS) - 8),
        segment(80, state=SegmentState.UNREADABLE, bytes=len(TS) - 8, duration_s=0.0),
        data=TS[:-8],
    )
    library.hold(segment(100, **OPEN))
    code, out, err = cli("segments", "verify", "--config", str(library.config))
    assert (code, err) == (0, "")
    assert out == (
        "6 files verified (1 open, 1 truncated, 1 unreadable, 3 whole):"
        " 6 as indexed, 0 wrong; 0 not indexed\n"
    )


def test_verify_names_each_file_that_is_wrong(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """Gone, shortened, overwritten, replaced by a link or a directory: exit code 1."""
    library.hold(segment(70), segment(80))
    paths = [library.root / segment(at, epoch=1).path for at in (0, 10, 60, 70, 80)]
    paths[0].unlink()
    paths[1].write_bytes(TS[:-1])
    paths[2].write_bytes(b"x" * len(TS))
    paths[3].unlink()
    paths[3].symlink_to("/etc/passwd")
    paths[4].unlink()
    paths[4].mkdir()
    code, found, _ = ask("verify")
    assert code == 1
    problems = {Path(it["path"]): it["problem"] for it in found["wrong"]}
    said = ["missing", "has 1879 bytes, and had 1880", "does not begin", "by a link", "is no file"]
    assert all(text in problems[path] for path, text in zip(paths, said, strict=True))


def test_a_file_that_was_found_is_judged_by_its_state(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """Nobody announced it: if it counts as whole its end must be that of a whole file."""
    library.hold(
        segment(70, sequence=0, epoch=0, bytes=len(TS) - 8),
        segment(80, sequence=0, epoch=0, bytes=len(TS) - 8, state=SegmentState.TRUNCATED),
        data=TS[:-8],
    )
    library.hold(segment(90, sequence=0, epoch=0))
    code, found, _ = ask("verify")
    assert (code, [it["problem"] for it in found["wrong"]]) == (
        1,
        [f"its {len(TS) - 8} bytes are not whole packets of 188"],
    )


def test_verify_opens_nothing_outside_the_volume(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """A path with .. in a strange index, and a day that is a link, lead nowhere."""
    (library.root.parent / "secret.ts").write_bytes(TS)
    library.hold(segment(200, path="../secret.ts"), segment(210, path="/etc/passwd"))
    day = library.root / "front-door" / "2026-01-31"
    shutil.move(day, library.root.parent / "day")
    day.symlink_to(library.root.parent / "day")
    code, found, _ = ask("verify")
    assert code == 1
    assert len(found["wrong"]) == 5
    assert all("it is not opened" in it["problem"] for it in found["wrong"])


def test_verify_tells_of_files_that_are_not_indexed(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """They are told, by range too, and are no error."""
    stranger = library.root / segment(300).path
    stranger.write_bytes(TS)
    code, found, _ = ask("verify", "front-door")
    assert (code, [it["path"] for it in found["not_indexed"]]) == (0, [str(stranger)])
    _, found, _ = ask("verify", "--to", "2026-01-31T12:05:00Z")
    assert found["not_indexed"] == []


def test_a_lost_volume_is_one_line(cli: Cli, library: Library) -> None:
    """Not one for each of its files, whether its directory is gone or empty."""
    shutil.rmtree(library.root)
    for _ in range(2):
        code, out, _ = cli("segments", "verify", "--config", str(library.config))
        assert code == 1
        assert out.splitlines()[0] == (
            f"volume main: none of its 3 files is at {library.root}; is its disk mounted?"
        )
        assert len(out.splitlines()) == 2
        library.root.mkdir(exist_ok=True)


def test_an_index_that_another_program_holds(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """A writer's lock is no hindrance; one that lets nobody in is told, with the mend."""
    with closing(sqlite3.connect(library.state_dir / "segments.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, found, _ = ask("list")
        assert (code, len(found)) == (0, 3)
        other.execute("COMMIT")
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("DELETE FROM marks")
        code, out, err = ask("list")
        assert (code, out) == (1, None)
        assert "database is locked; try again when no other program holds it" in err


def test_an_index_that_is_not_saved_is_told(
    ask: Callable[..., tuple[int, Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds is old: whoever reads it must know."""
    monkeypatch.setattr(segments_command, "connect", Manager)
    for command in ("list", "gaps", "verify"):
        code, found, err = ask(command)
        assert (code, bool(found)) == (0, True)
        assert err == (
            "The index of recordings is not being saved: disk full; 3 rows wait in memory, 0 are"
            " lost\n"
        )


def test_files_that_may_be_on_a_disk_that_is_away_are_told(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """By each command alike: what it says of them is what was last seen."""
    with closing(sqlite3.connect(library.state_dir / "segments.db")) as index, index:
        index.execute("UPDATE volumes SET missed = 2, mark_was = 'is not there'")
    for command in ("list", "gaps", "verify"):
        code, found, err = ask(command)
        assert (code, bool(found)) == (0, True)
        assert err.startswith(
            f"volume main: 2 of its files were not at {library.root}, and its disk may not be"
            " mounted (its mark is not there): "
        )


def test_an_index_that_an_older_manager_keeps_can_be_read(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """The program was upgraded, and the manager not yet started again."""
    with closing(sqlite3.connect(library.state_dir / "segments.db")) as index, index:
        index.execute("ALTER TABLE volumes DROP COLUMN mark_was")
        index.execute("ALTER TABLE volumes DROP COLUMN missed")
        index.execute("ALTER TABLE volumes DROP COLUMN marker")
        index.execute("PRAGMA user_version = 1")
    code, found, err = ask("list")
    assert (code, len(found), err) == (0, 3, "")
    library.hold(segment(70))  # the new one brings it up to date
    code, found, err = ask("list")
    assert (code, len(found), err) == (0, 4, "")


def test_an_index_that_is_broken_or_missing(
    ask: Callable[..., tuple[int, Any, str]], library: Library
) -> None:
    """Each is told with what mends it."""
    index = library.state_dir / "segments.db"
    index.write_bytes(b"no database at all, and longer than a header of one" * 100)
    code, _, err = ask("gaps")
    assert code == 1
    assert "the next start of the manager sets it aside and makes it anew from the files" in err
    index.unlink()
    code, _, err = ask("verify")
    assert code == 1
    assert err == (
        f"no index of recordings at {index}: no manager has recorded with this state_dir\n"
    )
    (library.state_dir / "manager.db").touch()
    code, _, err = ask("list")
    assert code == 1
    assert "it was removed; a manager makes it anew from the files, at its next start" in err


@pytest.fixture
def _without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg, "require", lambda: None)


def export(cli: Cli, library: Library, *arguments: str) -> tuple[int, str, str]:
    """Export the first 20 s, unless the arguments say otherwise."""
    times = () if "--from" in arguments else ("--from", "2026-01-31T12:00Z", "--to", "13:00:20")
    given = [it if it != "13:00:20" else "2026-01-31T12:00:20Z" for it in times]
    where = ("--config", str(library.config))
    return cli("segments", "export", "front-door", *given, *arguments, *where)


@pytest.mark.usefixtures("_without_ffmpeg")
def test_exports_that_can_not_be(
    cli: Cli, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is refused before anything is written, with the thing, the value and the mend."""
    there = tmp_path / "there.ts"
    there.write_bytes(b"mine")
    (tmp_path / "half.ts.json").touch()
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("-o", str(tmp_path / "out.avi")), 2, 'suffix ".avi"'),
        (("-o", str(tmp_path / "no" / "out.ts")), 2, f"mkdir -p {tmp_path / 'no'}"),
        (("-o", str(there)), 2, f"{there} is there already"),
        (("-o", str(tmp_path / "half.ts")), 2, "half.ts.json is there already"),
        (
            ("--from", "2025-01-01", "--to", "2025-01-02", "-o", str(tmp_path / "a.ts")),
            1,
            "nothing of front-door is recorded in this range; recordings of front-door begin at",
        ),
        (("--from", "1h", "--to", "2h", "-o", str(tmp_path / "a.ts")), 2, "is not before"),
    ]
    for arguments, expected, said in cases:
        code, out, err = export(cli, library, *arguments)
        assert (code, out) == (expected, "")
        assert said in err
    usage = shutil._ntuple_diskusage(total=10, used=9, free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    code, _, err = export(cli, library, "-o", str(tmp_path / "a.ts"))
    assert (code, "3760 bytes are needed, 1 are free" in err) == (1, True)
    assert there.read_bytes() == b"mine"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.usefixtures("_without_ffmpeg")
def test_an_export_of_a_file_that_is_gone_names_it(cli: Cli, library: Library) -> None:
    """And says what looks for more of the kind."""
    (library.root / segment(10).path).unlink()
    code, _, err = export(cli, library, "-o", str(library.root.parent / "a.ts"))
    assert code == 1
    assert "12-00-10.000Z.ts can't be read: No such file" in err
    assert "segments verify front-door" in err


def test_an_export_without_ffmpeg(
    cli: Cli, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how to install it."""
    monkeypatch.setenv("PATH", str(library.root))
    code, _, err = export(cli, library, "-o", "a.ts")
    assert (code, err) == (
        1,
        "ffmpeg is not installed, which joins recordings: apt-get install ffmpeg\n",
    )


def test_without_a_configuration_the_running_manager_tells_where_its_index_is(
    cli: Cli, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state_dir must be readable here."""
    place: list[str | None] = [str(library.state_dir)]

    class Answering(Manager):
        def get(self, _path: str, **_: object) -> Json:
            return {"manager": {"state_dir": place[0]}}

    monkeypatch.setattr(segments_command, "connect", Answering)
    code, out, _ = cli("segments", "list", "--json")
    assert (code, len(json.loads(out))) == (0, 3)
    place[0] = "/no/such/state"
    code, _, err = cli("segments", "list")
    assert (code, "/no/such/state can't be read from here" in err) == (2, True)
    place[0] = None
    code, _, err = cli("segments", "list")
    assert (code, "name it with --config" in err) == (1, True)
