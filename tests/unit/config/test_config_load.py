"""A valid file becomes the settings that it says, and everything else gets its default."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from stream_manager.config import Configuration, ConfigurationErrors, check, load, load_manager
from stream_manager.config.places import default_runtime_dir
from stream_manager.pipelines.spec import (
    PipelineSource,
    RecordSpec,
    RtspSource,
    StreamSpec,
    TestSource,
)
from stream_manager.recovery.backoff import Backoff
from stream_manager.recovery.budget import Budget
from stream_manager.recovery.policy import RecoveryPolicy

EXAMPLES = Path(__file__).parents[3] / "examples"
ENVIRON = {"CAM_PASSWORD": "p@ss"}

SMALLEST = '[[streams]]\nid = "a"\nsource = "test:"\n'


def _load(tmp_path: Path, text: str) -> Configuration:
    file = tmp_path / "cameras.toml"
    file.write_text(text)
    return load(file, ENVIRON | {"XDG_RUNTIME_DIR": str(tmp_path)})


def test_a_file_sets_everything_it_says(tmp_path: Path) -> None:
    """Every key of this version reaches the settings, in the file's order."""
    configuration = _load(
        tmp_path,
        """
        [manager]
        state_dir = "state"
        runtime_dir = "../run"
        listen = "[::1]:8080"
        [recovery]
        backoff = { base = "1s", factor = 3, cap = "20s", jitter = "full" }
        budget = { restarts = 9, within = "2min" }
        stable_for = "90s"
        give_up_after = "1h"
        stall_after = "2s"
        verify_for = "500ms"
        start_deadline = "10s"
        probe_every = "1min"
        enforce = false
        [[volumes]]
        id = "main"
        path = "rec/../recordings"
        [[streams]]
        id = "front-door"
        source = "rtsp://u:${CAM_PASSWORD}@cam/x"
        transport = "udp"
        latency = "50ms"
        record = { volumes = ["main"], segment = "10s", container = "mp4" }
        depends_on = ["api:billing", "room:2"]
        [[streams]]
        id = "b"
        pipeline = '''
            videotestsrc is-live=true ! x264enc'''
        """,
    )

    assert configuration.manager.state_dir == tmp_path / "state"
    assert configuration.manager.runtime_dir == tmp_path.parent / "run"
    assert configuration.manager.listen == ("::1", 8080)
    assert [(volume.id, volume.path) for volume in configuration.volumes] == [
        ("main", tmp_path / "recordings")
    ]
    assert configuration.warnings == ()
    front_door, other = configuration.streams
    assert front_door.spec == StreamSpec(
        id="front-door",
        source=RtspSource(
            url="rtsp://cam/x", user="u", password="p@ss", transport="udp", latency_ms=50
        ),
        record=RecordSpec(directory=str(tmp_path / "recordings"), segment_s=10.0, container="mp4"),
        secrets=("p%40ss", "p@ss"),
    )
    assert front_door.policy == RecoveryPolicy(
        backoff=Backoff(base_s=1.0, factor=3.0, cap_s=20.0, jitter="full"),
        budget=Budget(restarts=9, within_s=120.0),
        stable_for_s=90.0,
        verify_for_s=0.5,
        start_deadline_s=10.0,
        give_up_after_s=3600.0,
        probe_every_s=60.0,
        enforce=False,
    )
    assert front_door.stall_after_s == 2.0
    assert (front_door.volume, front_door.depends_on) == ("main", ("api:billing", "room:2"))
    assert isinstance(other.spec.source, PipelineSource)
    assert other.spec.record is None
    assert (other.volume, other.depends_on) == (None, ())
    assert list(tmp_path.iterdir()) == [tmp_path / "cameras.toml"], "nothing is created"


def test_what_a_file_does_not_set_has_its_default(tmp_path: Path) -> None:
    """One stream of two keys is a configuration."""
    configuration = _load(tmp_path, SMALLEST)
    assert configuration.manager.state_dir == tmp_path / "state"
    assert configuration.manager.runtime_dir == tmp_path / "stream-manager"
    assert configuration.manager.listen is None
    (stream,) = configuration.streams
    assert stream.spec == StreamSpec(id="a", source=TestSource())
    assert stream.policy == RecoveryPolicy()
    assert stream.stall_after_s is None


def test_a_stream_overrides_key_by_key(tmp_path: Path) -> None:
    """A stream's own keys win, also one by one inside backoff and budget; the rest stays."""
    stream, plain = _load(
        tmp_path,
        """
        [recovery]
        backoff = { base = "1s", cap = "20s" }
        budget = { restarts = 3, within = "5min" }
        give_up_after = 7
        stall_after = "3s"
        [[streams]]
        id = "a"
        source = "test:"
        backoff = { cap = "10s" }
        budget.restarts = 4
        give_up_after = "never"
        stall_after = "auto"
        [[streams]]
        id = "b"
        source = "test:"
        """,
    ).streams
    assert stream.policy == RecoveryPolicy(
        backoff=Backoff(base_s=1.0, cap_s=10.0), budget=Budget(restarts=4, within_s=300.0)
    )
    assert stream.stall_after_s is None
    assert plain.policy.backoff == Backoff(base_s=1.0, cap_s=20.0)
    assert plain.policy.give_up_after_attempts == 7
    assert plain.stall_after_s == 3.0


def test_the_digest_is_stable_and_names_what_defines_a_stream(tmp_path: Path) -> None:
    """Comments and other streams change no digest; a source, a secret or a policy does."""

    def digest(text: str) -> str:
        return _load(tmp_path, text).streams[0].digest

    first = digest(SMALLEST)
    assert len(first) == 16
    assert digest(f"# moved\n{SMALLEST}[[streams]]\nid = 'z'\nsource = 'test:'\n") == first
    rtsp = SMALLEST.replace("test:", "rtsp://u:one@cam/")
    texts = [rtsp, rtsp.replace("one", "two"), SMALLEST + 'stable_for = "2min"\n']
    texts.append(SMALLEST + 'depends_on = ["api:billing"]\n')
    assert len({first, *map(digest, texts)}) == 5


def test_secrets_are_not_in_what_is_printed_of_a_configuration(tmp_path: Path) -> None:
    """A configuration that lands in a log or a traceback shows no password."""
    configuration = _load(tmp_path, SMALLEST.replace("test:", "rtsp://u:hunter2@cam/"))
    assert "hunter2" not in repr(configuration)


def test_a_secret_file_is_relative_and_loses_its_newline(tmp_path: Path) -> None:
    """`${file:…}` is read beside the configuration; readable by others, it is warned about."""
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    text = SMALLEST.replace("test:", "rtsp://u:${file:password}@cam/")
    configuration = _load(tmp_path, text)
    source = configuration.streams[0].spec.source
    assert isinstance(source, RtspSource)
    assert source.password == "hunter2"
    assert configuration.warnings == ()
    secret.chmod(0o644)
    (warning,) = _load(tmp_path, text).warnings
    assert (warning.line, warning.key) == (3, "streams.a.source")
    assert warning.found == "${file:password}, which every user can read"


def test_clients_need_no_camera_password(tmp_path: Path) -> None:
    """`[manager]` alone is read: the rest may be wrong, [manager] may not."""
    file = tmp_path / "cameras.toml"
    file.write_text('[manager]\nruntime_dir = "/run/x"\n[[stream]]\nsource = "${NOPE}"\n')
    assert load_manager(file, {}).runtime_dir == Path("/run/x")
    file.write_text("[manager]\nruntime = 1\n")
    with pytest.raises(ConfigurationErrors, match=r':2: manager.runtime: .*"runtime_dir"'):
        load_manager(file, {})


def test_sockets_have_a_place_without_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Systemd's for its unit, the user's, the system's for root, else one by the user's number."""
    made = {"RUNTIME_DIRECTORY": "/run/cameras", "XDG_RUNTIME_DIR": "/run/user/7"}
    assert default_runtime_dir(made) == Path("/run/cameras")
    assert default_runtime_dir({"XDG_RUNTIME_DIR": "/run/user/7"}) == Path(
        "/run/user/7/stream-manager"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_runtime_dir({"XDG_RUNTIME_DIR": "relative"}) == Path("/run/stream-manager")
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    assert default_runtime_dir({}) == Path("/tmp/stream-manager-7")


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_the_examples_are_good(example: Path, tmp_path: Path) -> None:
    """What we show users to start from passes its own check, without a warning."""
    verdict = check(example, ENVIRON | {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert verdict.exit_code == 0
    assert verdict.lines == (f"{example}: good, 2 streams, 1 volume, 0 warnings",)


def test_importing_the_configuration_loads_no_media_and_no_server() -> None:
    """`check` and the client commands start fast: pydantic and msgspec, nothing larger."""
    script = "import sys, stream_manager.config; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert not {"gi", "fastapi", "asyncio", "sqlite3", "rich"} & set(modules)


def test_a_file_of_somebody_elses_is_told_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks about a service's configuration learns as whom to ask; also behind a directory."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc").chmod(0o750)
    file = tmp_path / "etc/cameras.toml"
    file.write_text(SMALLEST)
    file.chmod(0o640)
    os.chown(file, os.geteuid(), -1)
    owner = pwd.getpwuid(os.geteuid()).pw_name

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigurationErrors) as told:
        load_manager(file, {})
    assert str(told.value) == (
        f"{file}: found Permission denied (it belongs to {owner}, mode 0640), expected one that"
        " can be read: run this with sudo, or as that user"
    )
    with pytest.raises(ConfigurationErrors) as told:  # who types reload is not who reads
        load(file, {}, by_manager=True)
    assert str(told.value).endswith(
        f"expected one that the manager (user {owner}) can read: chown or chmod"
    )
    file.unlink()
    with pytest.raises(ConfigurationErrors, match=r"etc belongs to \w+, mode 0750\)"):
        load_manager(file, {})
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    with pytest.raises(ConfigurationErrors, match=rf"belongs to user {os.geteuid()}, mode 0750"):
        load_manager(file, {})
