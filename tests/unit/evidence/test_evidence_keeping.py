"""What is kept of an incident: whole, bounded, without a secret, and at nobody's cost."""

import os
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.waiting import wait_for
from tests.unit.evidence.kept import CRASH

from stream_manager.evidence import (
    Examination,
    Finding,
    Keeper,
    Kept,
    examine,
    read_case,
    read_cases,
    write_bundle,
)
from stream_manager.evidence.gathering import TEXT_BYTES, gather
from stream_manager.evidence.shelf import Shelf
from stream_manager.evidence.threads import can_not_answer, threads_of

STACKS = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File somewhere\n"


def kept(number: int, seq: int | None = None, stream: str = "cam") -> Kept:
    """Return what is known of a finding."""
    return replace(CRASH, number=number, seq=seq or number, stream=stream, component=stream)


def finding(log: Path, number: int = 1, examination: Examination | None = None) -> Finding:
    """Return a finding whose worker wrote `log`."""
    return Finding(
        kept=kept(number),
        log_path=log,
        secrets=("hunter/2",),
        graphs={"source": zlib.compress(b"digraph pipeline {}")},
        examination=examination,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Give the path of a worker's log."""
    return tmp_path / "cam.log"


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Give the pid of a process that does nothing."""
    process = subprocess.Popen(["sleep", "60"])
    wait_for(lambda: [(it.name, it.state) for it in threads_of(process.pid)] == [("sleep", "S")])
    yield process.pid
    process.kill()
    process.wait()


def test_a_crash_leaves_its_log_its_stacks_and_its_graphs(log: Path) -> None:
    """Only what this worker wrote counts, and a log that was just put aside still belongs to it."""
    log.with_name("cam.log.1").write_text(
        f"=== epoch 6, pid 41, then\n{STACKS}=== epoch 7, pid 42, now\nfirst\n"
    )
    log.write_text(f"second\n{STACKS}=== epoch 8, pid 43, later\nnot his\n")
    files = gather(finding(log))
    assert files["worker.log"] == f"=== epoch 7, pid 42, now\nfirst\nsecond\n{STACKS}"
    assert files["stacks.txt"] == STACKS
    assert files["source.dot"] == "digraph pipeline {}"


def test_what_the_fork_server_wrote_is_kept_where_it_failed(log: Path) -> None:
    """No worker came of it that could tell why; like a worker's, it is told without a secret."""
    server_log = log.with_name("forkserver.log")
    server_log.write_text("Traceback of hunter/2\n")
    assert "forkserver.log" not in gather(finding(log))
    files = gather(replace(finding(log), server_log=server_log))
    assert files["forkserver.log"] == "Traceback of ***\n"


def test_what_was_seen_of_a_hang_is_kept(log: Path) -> None:
    """Of a process that hung there are threads and stacks, even where there is no log."""
    files = gather(finding(log, examination=Examination(threads="T", stacks="S")))
    assert files == {"threads.txt": "T", "stacks.txt": "S", "source.dot": "digraph pipeline {}"}


def test_no_file_holds_a_secret_nor_more_than_it_may(log: Path) -> None:
    """Secrets go in all their forms, also from the line at which a long log is cut."""
    lines = ["rtsp://u:x@host/a hunter/2 hunter%2F2"] * (6 * TEXT_BYTES // 30)
    log.write_text("=== epoch 7, pid 42, now\n" + "\n".join(lines))
    text = gather(finding(log))["worker.log"]
    assert "hunter" not in text
    assert "unter/2" not in text
    assert "u:x" not in text
    assert set(text.splitlines()) == {"rtsp://***@host/a *** ***"}
    assert TEXT_BYTES / 2 < len(text) <= TEXT_BYTES


def test_an_incident_is_read_as_it_was_put(tmp_path: Path) -> None:
    """Its findings stand in the order of the journal, each with its files; others are not there."""
    shelf = Shelf(tmp_path)
    shelf.put(kept(5), {"worker.log": "a"})
    shelf.put(kept(5, seq=9), {"worker.log": "b"})
    case = read_case(tmp_path, 5)
    assert case is not None
    assert [it for it, _ in case.findings] == [kept(5), kept(5, seq=9)]
    assert [(folder / "worker.log").read_text() for _, folder in case.findings] == ["a", "b"]
    assert read_case(tmp_path, 6) is None
    (tmp_path / "5" / "9" / "finding.json").write_text("{")
    case = read_case(tmp_path, 5)
    assert case is not None
    assert len(case.findings) == 1
    assert oct((tmp_path / "5" / "5" / "worker.log").stat().st_mode & 0o777) == "0o600"


def test_a_number_that_comes_again_begins_anew(tmp_path: Path) -> None:
    """Of a journal that was lost the old incident goes, for the new one has its number."""
    shelf = Shelf(tmp_path)
    shelf.put(kept(5), {})
    shelf.put(kept(5, seq=9), {})
    Shelf(tmp_path).put(kept(5, stream="other"), {})
    case = read_case(tmp_path, 5)
    assert case is not None
    assert [it.stream for it, _ in case.findings] == ["other"]


def test_the_stream_that_has_most_makes_room(tmp_path: Path) -> None:
    """A loop of crashes drives out its own evidence, over restarts too, and nobody else's."""
    Shelf(tmp_path).put(kept(1, stream="quiet"), {})
    for number in range(2, 9):
        Shelf(tmp_path, incidents_at_most=4).put(kept(number, stream="looping"), {})
    assert [it.number for it in read_cases(tmp_path)] == [1, 6, 7, 8]


def test_evidence_is_bounded_in_bytes(tmp_path: Path) -> None:
    """The oldest go until there is room; the newest stays, however large."""
    shelf = Shelf(tmp_path, bytes_at_most=10_000)
    for number in (1, 2, 3):
        shelf.put(kept(number), {"worker.log": "x" * 4_000})
    assert [it.number for it in read_cases(tmp_path)] == [2, 3]
    shelf.put(kept(4), {"worker.log": "x" * 20_000})
    assert [it.number for it in read_cases(tmp_path)] == [4]


def test_a_disk_that_takes_nothing_is_told_once_and_costs_nothing(
    tmp_path: Path, log: Path
) -> None:
    """Whoever hands evidence in goes on, and what comes after the trouble is kept again."""
    (tmp_path / "incidents").write_text("where a directory should be")
    told: list[str] = []
    keeper = Keeper(tmp_path, log_dir=tmp_path, on_fault=told.append)
    keeper.keep(finding(log, 1))
    keeper.keep(finding(log, 2))
    wait_for(lambda: told)
    keeper.keep(finding(log, 3))
    keeper.close(10.0)
    assert len(told) == 1
    assert "evidence of incidents can't be kept" in told[0]


def test_what_waits_is_kept_at_the_end(tmp_path: Path, log: Path) -> None:
    """close() returns when it is, and a keeper that kept nothing has nothing to end."""
    Keeper(tmp_path, log_dir=tmp_path, on_fault=pytest.fail).close(10.0)
    keeper = Keeper(tmp_path, log_dir=tmp_path, on_fault=pytest.fail)
    for number in (1, 2, 3):
        keeper.keep(finding(log, number))
    keeper.close(10.0)
    assert [it.number for it in read_cases(tmp_path / "incidents")] == [1, 2, 3]


def test_a_bundle_holds_everything_and_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphs are drawn where the program for it is installed; without it all else is there."""
    shelf = Shelf(tmp_path / "incidents")
    shelf.put(kept(5), {"worker.log": "a", "source.dot": "digraph {}"})
    case = read_case(tmp_path / "incidents", 5)
    assert case is not None
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert write_bundle(case, tmp_path / "plain.tar.gz", {"journal.txt": "j"}) == [
        *("journal.txt", "5/finding.json", "5/source.dot", "5/worker.log")
    ]
    dot = programs / "dot"
    dot.write_text('#!/bin/sh\necho "<svg>$(/bin/cat)</svg>"\n')
    dot.chmod(0o755)
    write_bundle(case, tmp_path / "drawn.tar.gz", {})
    with tarfile.open(tmp_path / "drawn.tar.gz") as archive:
        svg = archive.extractfile("incident-5/5/source.svg")
        assert svg is not None
        assert svg.read() == b"<svg>digraph {}</svg>\n"
    dot.write_text("#!/bin/sh\nexit 1\n")
    assert "5/source.svg" not in write_bundle(case, tmp_path / "undrawn.tar.gz", {})
    with pytest.raises(FileExistsError):
        write_bundle(case, tmp_path / "plain.tar.gz", {})


def test_threads_are_told_with_their_states(sleeper: int) -> None:
    """The kernel tells of any process of ours; of one that has ended there is nothing."""
    (thread,) = threads_of(sleeper)
    assert thread.id == sleeper
    assert not can_not_answer([thread])
    assert can_not_answer([])
    assert threads_of(2**22 + 1) == []


def test_who_does_not_answer_is_not_waited_for(sleeper: int, log: Path) -> None:
    """Without stacks it is said why; threads are there all the same."""
    log.write_text("before\n")
    asked: list[int] = []
    seen = examine(sleeper, log, lambda: asked.append(sleeper))
    assert asked == [sleeper]
    assert seen.stacks == "none: it did not answer the signal\n"
    assert f"{sleeper}  S sleeping" in seen.threads


def test_what_is_written_in_answer_is_taken(log: Path) -> None:
    """The stacks are what the log grew by."""
    log.write_text("before\n")

    def answer() -> None:
        with log.open("a") as file:
            file.write("Current thread\n")

    assert examine(os.getpid(), log, answer).stacks == "Current thread\n"
