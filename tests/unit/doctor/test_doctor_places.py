"""What is said of directories: whose, on what, with how much room; and of a whole file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_manager.config import ConfigurationErrors
from stream_manager.doctor import Finding, Level, diagnose, kernel, media, places
from stream_manager.doctor.places import GIB, FileSystem


def one(findings: Iterator[Finding]) -> Finding:
    """Return the only finding."""
    (finding,) = findings
    return finding


def file_system(kind: str = "ext4", free_bytes: int = 100 * GIB) -> FileSystem:
    """Return a disk."""
    return FileSystem(
        kind=kind,
        mounted_at="/srv",
        device="/dev/sda1",
        free_bytes=free_bytes,
        total_bytes=200 * GIB,
    )


def test_a_file_system_is_the_longest_mount_that_holds_the_path(tmp_path: Path) -> None:
    """Mount points may hold spaces, and a name that only begins alike is another place."""
    inside = tmp_path / "a b" / "c"
    inside.mkdir(parents=True)
    spaced = str(tmp_path / "a b").replace(" ", "\\040")
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        f"2 1 8:2 / {spaced} rw - xfs /dev/sdb1 rw\n"
        f"3 1 8:3 / {tmp_path}/a rw - vfat /dev/sdc1 rw\n"
    )
    found = places.file_system(inside / "not" / "there", mountinfo)
    assert (found.kind, found.device, found.mounted_at) == (
        "xfs",
        "/dev/sdb1",
        str(tmp_path / "a b"),
    )
    assert 0 < found.free_bytes <= found.total_bytes
    assert places.file_system(tmp_path, mountinfo).kind == "ext4"


@pytest.mark.parametrize(
    ("where", "level", "words"),
    [
        (file_system(), Level.OK, "ext4 at /srv (/dev/sda1), 100.0 of 200.0 GiB free"),
        (file_system(free_bytes=GIB // 2), Level.WARNING, "that is little"),
        (file_system("tmpfs"), Level.WARNING, "it is lost when the machine restarts"),
    ],
)
def test_a_volume_is_judged_by_its_disk(
    tmp_path: Path, where: FileSystem, level: Level, words: str
) -> None:
    """How much is free stands in every answer."""
    finding = one(places.volume("main", tmp_path, lambda _: where))
    assert (finding.check, finding.level) == ("volume main", level)
    assert words in finding.found
    assert "GiB free" in finding.found
    assert bool(finding.mend) == (level is not Level.OK)


def test_a_volume_that_is_to_be_made_is_said_to_be(tmp_path: Path) -> None:
    """The manager makes it at its start."""
    finding = one(places.volume("main", tmp_path / "new", lambda _: file_system()))
    assert (finding.level, ", to be made" in finding.found) == (Level.OK, True)


def test_a_volume_in_the_way_of_a_file_is_a_problem(tmp_path: Path) -> None:
    """The mend makes the directory, owned by who asks."""
    (tmp_path / "file").write_text("")
    finding = one(places.volume("main", tmp_path / "file" / "x"))
    assert finding.level is Level.PROBLEM
    assert finding.mend.startswith("sudo install -d -o ")


def test_a_directory_that_others_can_write_is_a_problem(tmp_path: Path) -> None:
    """The manager would refuse it at its start, for runtime and state alike."""
    open_to_all = tmp_path / "run"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for look in (places.runtime_directory, places.state_directory):
        finding = one(look(open_to_all))
        assert finding.level is Level.PROBLEM
        assert "other users can write (mode 777)" in finding.found
        assert finding.mend.endswith(f"chmod go-w {open_to_all}")
    open_to_all.chmod(0o700)
    assert one(places.runtime_directory(open_to_all)).level is Level.OK
    assert one(places.state_directory(open_to_all, lambda _: file_system())).level is Level.OK


def test_a_database_on_a_network_is_not_sure(tmp_path: Path) -> None:
    """SQLite's locks depend on what networks promise and do not keep."""
    finding = one(places.state_directory(tmp_path, lambda _: file_system("nfs4")))
    assert (finding.level, "not sure on a network" in finding.found) == (Level.WARNING, True)


@pytest.fixture(autouse=True)
def _no_gstreamer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave GStreamer out: it is asked in tests of its own."""
    monkeypatch.setattr(media, "gstreamer", lambda: iter(()))


def configuration(folder: Path, source: str = "test:") -> Path:
    """Write a configuration with one volume."""
    path = folder / "cameras.toml"
    path.write_text(
        '[manager]\nstate_dir = "./state"\nruntime_dir = "./run"\n'
        '[[volumes]]\nid = "main"\npath = "./recordings"\n'
        f'[[streams]]\nid = "door"\nsource = "{source}"\n'
    )
    return path


def test_with_a_configuration_its_places_are_looked_at(tmp_path: Path) -> None:
    """Its directories, its volumes, and the open files of its streams."""
    findings = {it.check: it for it in diagnose(configuration(tmp_path), {})}
    assert findings["runtime_dir"].found == str(tmp_path / "run")
    assert findings["state_dir"].found.startswith(f"{tmp_path}/state, to be made")
    assert findings["volume main"].found.startswith(f"{tmp_path}/recordings, to be made")
    assert "(streams: 1)" in findings["open files"].found
    without = {it.check for it in diagnose(None, {"XDG_RUNTIME_DIR": str(tmp_path)})}
    assert "runtime_dir" in without
    assert "state_dir" not in without


def test_an_error_of_the_configuration_is_one_finding_among_others(tmp_path: Path) -> None:
    """What `[manager]` says is looked at all the same, and told once."""
    (tmp_path / "state").write_text("in the way")
    path = configuration(tmp_path, "rtmp://cam/x")
    findings = diagnose(path, {})
    wrong = [it for it in findings if it.check == "configuration"]
    assert [it.level for it in wrong] == [Level.PROBLEM]
    assert "rtmp is not in this version" in wrong[0].found
    assert wrong[0].mend == f"stream-manager check {path}"
    assert [it.level for it in findings if it.check == "state_dir"] == [Level.PROBLEM]


def test_a_secret_that_is_not_in_this_environment_is_unknown(tmp_path: Path) -> None:
    """The service may well have it, and all directories are looked at as if it were here."""
    findings = diagnose(configuration(tmp_path, "rtsp://u:${NOPE}@cam/x"), {})
    (secret,) = [it for it in findings if it.check == "configuration"]
    assert secret.level is Level.UNKNOWN
    assert "no environment variable NOPE" in secret.found
    assert secret.mend
    assert {"runtime_dir", "state_dir", "volume main"} <= {it.check for it in findings}


def test_a_volume_of_a_wrong_configuration_is_told_once(tmp_path: Path) -> None:
    """A file in its way is the configuration's error, and keeps nothing else from being told."""
    (tmp_path / "recordings").write_text("in the way")
    findings = diagnose(configuration(tmp_path, "rtsp://u:${NOPE}@cam/x"), {})
    wrong = [it.level for it in findings if it.check == "configuration"]
    assert sorted(level.value for level in wrong) == ["problem", "unknown"]
    assert "state_dir" in {it.check for it in findings}


def test_a_file_that_is_none_is_misuse(tmp_path: Path) -> None:
    """There is nothing to look at."""
    with pytest.raises(ConfigurationErrors):
        diagnose(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), ImportError("pydantic")]
)
def test_a_check_that_can_not_be_made_is_unknown(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps no other check from being made."""

    def fail() -> Iterator[Finding]:
        raise error

    monkeypatch.setattr(kernel, "pressure", fail)
    findings = {it.check: it for it in diagnose(None, {})}
    assert findings["pressure"].level is Level.UNKNOWN
    assert str(error) in findings["pressure"].found
    assert "clock" in findings
