"""One manager, many streams, each with its own trouble: what recovers, what gives up, and why."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.locked_camera import LockedCamera
from tests.integration.service import Service, table

from stream_manager.lab.camera import Camera

pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def locked() -> Iterator[LockedCamera]:
    """Give a camera whose password nobody knows."""
    with LockedCamera() as server, server.serving():
        yield server


@pytest.fixture(scope="module")
def rebooting() -> Iterator[Camera]:
    """Give a camera that a test reboots."""
    with Camera("cam") as camera:
        yield camera


@pytest.fixture(scope="module")
def freezing() -> Iterator[Camera]:
    """Give a camera that a test freezes."""
    with Camera("cam") as camera:
        yield camera


@pytest.fixture(scope="module")
def absent() -> Iterator[Camera]:
    """Give a camera that is not there yet; it has a port already."""
    with Camera("cam") as camera:
        camera.die()
        yield camera


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
    locked: LockedCamera,
    rebooting: Camera,
    freezing: Camera,
    absent: Camera,
) -> Iterator[Service]:
    """Give a manager that runs a sound stream among all those that have trouble."""
    service = Service(
        tmp_path_factory.mktemp("svc"),
        table("bystander", "test:"),
        table("killed", "test:"),
        table("unstable", "test:", stable_for='"5s"'),
        table("doomed", "file:doomed.mp4", give_up_after="3"),
        table("rebooting", rebooting.url("cam")),
        table("freezing", freezing.url("cam")),
        table("absent", absent.url("cam")),
        table("locked", locked.url),
        table("misspelt", "videotestsrc is-live=true ! x264enc speed-preset=ultrafats"),
        table("unknown", "videotestsrc is-live=true ! nosuchelement ! h264parse"),
        table("garbage", "file:garbage.mp4"),
        table("directory", "file:directory"),
        table("missing", "file:missing.mp4"),
        table("sound", "file:sound.mp4"),
    )
    (service.folder / "garbage.mp4").write_bytes(b"This is no film.\n" * 1000)
    (service.folder / "directory").mkdir()
    ffmpeg("-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac", service.folder / "sound.mp4")
    try:
        yield service.start()
    finally:
        service.close()


def ffmpeg(*arguments: str | Path) -> None:
    """Make a file with ffmpeg."""
    subprocess.run(["ffmpeg", "-v", "error", *arguments], check=True, timeout=60)


def test_a_recovery_from_a_crash_is_an_outage_that_ended(running: Service) -> None:
    """After SIGKILL there is a new process, a new epoch, new media, and a record of the outage."""
    running.wait_healthy("killed")
    before = running.stream("killed")
    os.kill(before["pid"], signal.SIGKILL)
    after = running.wait_for(
        "killed", lambda it: it["epoch"] == before["epoch"] + 1 and it["health"] == "healthy"
    )
    running.wait_recorded("killed")
    assert after["pid"] not in (None, before["pid"])
    assert after["restarts_total"] == before["restarts_total"] + 1
    fault = after["last_fault"]
    assert (fault["cause"], fault["class"], fault["code"]) == ("crash", "transient", "SIGKILL")
    assert 0 < after["outage_s_total"] < 10
    assert after["mttr_s"] == after["outage_s_total"]
    assert 0 < after["availability"] < 1
    entries = [it for it in running.journal("killed") if it["rule"] == "crash-once"]
    assert [it["component"] for it in entries] == ["killed"]
    assert entries[0]["saw"]["delay_s"] == 0


def test_recovery_backoff_is_forgiven_only_by_stability(running: Service) -> None:
    """The attempt counter stays through health and goes to zero after stable_for of it."""
    running.wait_healthy("unstable")
    os.kill(running.stream("unstable")["pid"], signal.SIGKILL)
    healed = running.wait_for("unstable", lambda it: it["epoch"] > 1 and it["health"] == "healthy")
    assert healed["attempt"] == 1
    forgiven = running.wait_for("unstable", lambda it: it["attempt"] == 0)
    assert forgiven["uptime_s"] >= 5.0
    (entry,) = [
        it
        for it in running.journal("unstable")
        if it["rule"] == "stable" and it["component"] == "unstable"
    ]
    assert entry["saw"]["attempt"] == 1


def test_recovery_gives_up_after_its_attempts_and_reset_re_arms_it(running: Service) -> None:
    """FAILED is journalled with its rule, stays, and one command later everything is tried anew."""
    failed = running.wait_for("doomed", lambda it: it["state"] == "failed")
    assert failed["health"] == "failed"
    assert failed["last_fault"]["cause"] == "not-found"
    assert failed["next_attempt_in_s"] > 60
    rules = [it["rule"] for it in running.journal("doomed")]
    assert rules.count("file-missing") == 3
    assert rules.count("give-up") == 1
    ffmpeg(
        *("-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=3"),
        *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25"),
        running.folder / "doomed.mp4",
    )
    running.command("doomed", "reset")
    running.wait_healthy("doomed")
    running.wait_recorded("doomed")


def test_recovery_after_a_reboot_of_the_camera(running: Service, rebooting: Camera) -> None:
    """A camera that went away and came back is recorded again, in the same worker."""
    running.wait_healthy("rebooting")
    epoch = running.stream("rebooting")["epoch"]
    rebooting.reboot(after_s=1.0)
    down = running.wait_for("rebooting", lambda it: it["health"] == "unhealthy")
    assert down["last_fault"]["cause"] == "network"
    running.wait_healthy("rebooting")
    running.wait_recorded("rebooting")
    assert running.stream("rebooting")["epoch"] == epoch


def test_recovery_after_a_frozen_camera_thaws(running: Service, freezing: Camera) -> None:
    """Open sockets and no media are found to be a stall, and healed once media flows."""
    running.wait_healthy("freezing")
    freezing.freeze()
    try:
        down = running.wait_for("freezing", lambda it: it["health"] == "unhealthy")
        assert down["last_fault"]["cause"] == "stall"
    finally:
        freezing.thaw()
    running.wait_healthy("freezing")
    running.wait_recorded("freezing")


def test_recovery_of_a_camera_that_was_never_there(running: Service, absent: Camera) -> None:
    """A source that is down at the first start is retried like any other, until it comes."""
    down = running.wait_for("absent", lambda it: it["attempt"] >= 8)
    assert down["last_fault"]["code"] == "ECONNREFUSED"
    assert down["state"] != "failed"
    absent.start()
    running.wait_healthy("absent")
    running.wait_recorded("absent")


def test_a_wrong_password_is_tried_once(running: Service, locked: LockedCamera) -> None:
    """FATAL within one attempt, nothing planned, and no second attempt reaches the camera."""
    failed = running.wait_for("locked", lambda it: it["state"] == "failed")
    fault = failed["last_fault"]
    assert (fault["cause"], fault["class"]) == ("auth", "fatal")
    assert failed["next_attempt_in_s"] is None
    assert failed["restarts_total"] == 0
    guesses = locked.guesses
    running.wait_media("bystander", 2)
    assert locked.visits == 1
    assert locked.guesses == guesses > 0
    assert "wrong" not in running.log()
    starts = [it for it in running.journal("locked") if it["component"] == "locked/source"]
    assert sum("start" in it["actions"] for it in starts) == 1


@pytest.mark.parametrize(
    ("stream", "named"), [("misspelt", "speed-preset"), ("unknown", "nosuchelement")]
)
def test_a_bad_pipeline_fails_and_names_its_element(
    running: Service, stream: str, named: str
) -> None:
    """The message says which word of the description is wrong."""
    failed = running.wait_for(stream, lambda it: it["state"] == "failed")
    assert named in failed["last_fault"]["message"]


@pytest.mark.parametrize(
    ("stream", "cause", "words"),
    [
        ("garbage", "config", "text/plain"),
        ("directory", "config", "is a directory"),
        ("sound", "media", "no video"),
    ],
)
def test_a_file_that_can_not_be_played_is_a_clear_fault(
    running: Service, stream: str, cause: str, words: str
) -> None:
    """It fails for good, in words, and not with a crash."""
    failed = running.wait_for(stream, lambda it: it["state"] == "failed")
    assert failed["last_fault"]["cause"] == cause
    assert re.search(words, failed["last_fault"]["message"])


def test_recovery_waits_for_a_missing_file(running: Service) -> None:
    """It may come yet: it is looked for again and again."""
    waiting = running.wait_for("missing", lambda it: it["attempt"] >= 8)
    assert waiting["last_fault"]["cause"] == "not-found"
    assert "missing.mp4" in waiting["last_fault"]["message"]
    assert waiting["state"] != "failed"


def test_none_of_this_touched_the_sound_stream(running: Service) -> None:
    """Beside a dozen broken ones it was healthy from its first start on."""
    running.wait_healthy("bystander")
    untouched = running.stream("bystander")
    assert untouched["epoch"] == 1
    assert untouched["restarts_total"] == 0
    assert untouched["last_fault"] is None
    assert untouched["availability"] == 1.0
