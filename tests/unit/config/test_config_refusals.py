"""Files, directories, ids and secrets that can't be used are refused; warnings are not errors."""

import os
from pathlib import Path

import pytest

from stream_manager.config import ConfigurationError, ConfigurationErrors, check, load

HEAD = """\
[manager]
state_dir = "state"
runtime_dir = "run"
[[volumes]]
id = "main"
path = "recordings"
[[streams]]
id = "front-door"
source = "test:"
"""


def _findings(tmp_path: Path, text: str, **environ: str) -> tuple[ConfigurationError, ...]:
    file = tmp_path / "cameras.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationErrors) as caught:
        load(file, environ)
    return caught.value.errors


@pytest.mark.parametrize("bad_id", ["", "-a", "Front", "a/b", "..", "a" * 65, "é", "a\\n"])
def test_unsafe_ids_are_refused(tmp_path: Path, bad_id: str) -> None:
    """An id becomes a file name, so nothing else may be in it; the stream is shown by number."""
    (error,) = _findings(tmp_path, HEAD.replace("front-door", bad_id))
    assert (error.line, error.key) == (8, "streams[0].id")
    assert error.expected.startswith("1 to 64 of a-z, 0-9, _ and -")


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ('"0.0.0.0:80"', "a loopback host"),
        ('"[::]:80"', "a loopback host"),
        ('"example.org:80"', "a loopback host"),
        ('":8080"', '"HOST:PORT"'),
        ('"8080"', '"HOST:PORT"'),
        ('"127.0.0.1:0"', '"HOST:PORT"'),
        ('"127.0.0.1:65536"', '"HOST:PORT"'),
        ("8080", '"HOST:PORT"'),
    ],
)
def test_the_api_listens_on_loopback_alone(tmp_path: Path, listen: str, expected: str) -> None:
    """Without authentication no other host is offered; a broken address is told as such."""
    (error,) = _findings(tmp_path, HEAD.replace("[manager]", f"[manager]\nlisten = {listen}"))
    assert (error.line, error.key) == (2, "manager.listen")
    assert error.expected.startswith(expected)


@pytest.mark.parametrize(
    "name",
    [
        "billing",
        ":billing",
        "api:",
        "API:billing",
        "api:two words",
        "api:\\u0007",
        "api:" + 201 * "x",
    ],
)
def test_a_domain_that_is_not_kind_and_name_is_refused(tmp_path: Path, name: str) -> None:
    """Its kind says which faults can be its doing, and no stream can be called like it."""
    (error,) = _findings(tmp_path, f'{HEAD}depends_on = ["host:nvr", "{name}"]\n')
    assert (error.line, error.key) == (10, "streams.front-door.depends_on[1]")
    assert error.expected == (
        '"KIND:NAME" like "api:billing", the kind of a-z, 0-9 and -, no spaces'
    )


def test_all_errors_are_told_at_once_by_line(tmp_path: Path) -> None:
    """Errors of form and of meaning, in one stream and over several, come together and sorted."""
    errors = _findings(
        tmp_path,
        """\
state = 1
[recovery]
budget = { restarts = 50 }
[[volumes]]
id = "Main"
path = "x"
[[streams]]
id = "a"
source = "rtsp://${ONE}:${TWO}@cam/"
record = { volumes = ["none"], segment = 5 }
[[streams]]
id = "a"
transport = "quic"
backoff = { base = "1min", cap = "1s", jiter = "none" }
""",
    )
    assert [(error.line, error.key) for error in errors] == [
        (1, "state"),
        (3, "recovery.budget"),
        (5, "volumes[0].id"),
        (9, "streams.a.source"),
        (9, "streams.a.source"),
        (10, "streams.a.record.segment"),
        (10, "streams.a.record.volumes"),
        (11, "streams.a.source"),
        (12, "streams.a.id"),
        (13, "streams.a.transport"),
        (14, "streams.a.backoff.cap"),
        (14, "streams.a.backoff.jiter"),
    ]


def test_a_wrong_key_is_not_judged_by_its_default(tmp_path: Path) -> None:
    """A cap that can't be read is one error: nothing is said about the cap it is not."""
    for place in ("", "[recovery]\n"):
        own = 'backoff.base = "1min"\n' if place else ""
        text = f'{HEAD}{own}{place}backoff = {{ base = "1min", cap = 90 }}\n'
        (error,) = _findings(tmp_path, text)
        assert error.key.endswith("backoff.cap")
        assert error.found == "90"


def test_contradictions_in_one_stream_are_told_together(tmp_path: Path) -> None:
    """Pace, proof and limit are judged apart; the general values are not blamed twice."""
    errors = _findings(
        tmp_path,
        f"""{HEAD}
backoff.cap = "400ms"
verify_for = "15s"
[recovery]
budget.restarts = 50
[[streams]]
id = "b"
source = "test:"
verify_for = "20s"
""",
    )
    assert [(error.line, error.key) for error in errors] == [
        (11, "streams.front-door.backoff.cap"),
        (12, "streams.front-door.verify_for"),
        (14, "recovery.budget"),
        (18, "streams.b.verify_for"),
    ]


def test_directories_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """A file in the way, a place where nobody can write, and a socket directory open to all."""
    (tmp_path / "state").write_text("a file")
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    state, run, recordings = _findings(tmp_path, HEAD.replace('"recordings"', '"/proc/rec"'))
    assert (state.line, state.key) == (2, "manager.state_dir")
    assert state.found == f"{tmp_path}/state, but {tmp_path}/state is no directory"
    assert (run.line, run.key) == (3, "manager.runtime_dir")
    assert run.found == f"{tmp_path}/run, which other users can write (mode 777)"
    assert (recordings.line, recordings.key) == (6, "volumes.main.path")
    assert recordings.found.startswith("/proc/rec, but /proc can't be written")


def test_directories_that_are_not_ours_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the lock would refuse at the start is told by `check` already."""
    (tmp_path / "state").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "state")
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    state, run = _findings(tmp_path, HEAD)
    assert (state.line, state.key) == (2, "manager.state_dir")
    assert state.found == f"{tmp_path}/state, which belongs to user {owner}"
    assert (run.line, run.key) == (3, "manager.runtime_dir")
    assert run.found == f"{tmp_path}/run, a symbolic link, which may lead anywhere"
    assert f"a directory of user {owner + 1} " in run.expected


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no file"),
        (b"", "an empty value"),
        (b"\n", "an empty value"),
        (b"\xff", "not UTF-8"),
        (b"x" * 70_000, "more than 65536 bytes"),
    ],
)
def test_a_secret_file_without_a_secret_is_named(
    tmp_path: Path, content: bytes | None, found: str
) -> None:
    """Missing, empty, binary and huge files are errors that show nothing of the content."""
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
        secret.chmod(0o600)
    (error,) = _findings(tmp_path, HEAD.replace("test:", "rtsp://u:${file:secret}@cam"))
    assert (error.line, error.key) == (9, "streams.front-door.source")
    assert found in error.found


def test_no_error_shows_a_secret(tmp_path: Path) -> None:
    """A value that makes a URL impossible is not repeated in the complaint about it."""
    file = tmp_path / "cameras.toml"
    file.write_text(HEAD.replace("test:", "${URL}"))
    with pytest.raises(ConfigurationErrors) as caught:
        load(file, {"URL": "rtsp://u:hunt er2@cam"})
    assert "er2" not in str(caught.value)
    assert '"${URL}"' in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        (b"a = 1\nb = \xff\n", 2, "bytes that are not UTF-8"),
        (b"a = 1\nb = [\n\n", 2, "a syntax error (Invalid value)"),
        (b"a = 1\na = 2\n", 2, "a syntax error (Cannot overwrite a value)"),
    ],
)
def test_a_file_that_is_no_toml_has_one_error(
    tmp_path: Path, content: bytes, line: int, found: str
) -> None:
    """Where the text itself is broken, nothing more can be said about it."""
    file = tmp_path / "cameras.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationErrors) as caught:
        load(file, {})
    (error,) = caught.value.errors
    assert (error.line, error.key, error.found) == (line, "", found)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and a directory are errors of the file as a whole."""
    for path, reason in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationErrors, match=f"^{path}: found {reason}"):
            load(path, {})


def test_warnings_are_told_and_do_not_refuse(tmp_path: Path) -> None:
    """A short success period and a file without streams are good enough to run."""
    file = tmp_path / "cameras.toml"
    file.write_text('[manager]\nruntime_dir = "run"\n[recovery]\nbackoff.cap = "1min"\n')
    verdict = check(file, {})
    assert verdict.exit_code == 0
    no_streams, short, summary = verdict.lines
    assert no_streams == (
        f"{file}: streams: found nothing, expected at least one [[streams]] table (warning)"
    )
    assert short == (
        f"{file}:4: recovery.backoff.cap: found stable_for of 60s with a backoff.cap of 60s, "
        "expected stable_for of at least twice the cap, 120s (warning)"
    )
    assert summary == f"{file}: good, 0 streams, 0 volumes, 2 warnings"


def test_check_renders_errors_as_compilers_do(tmp_path: Path) -> None:
    """file:line: key: found, expected; a count at the end, exit code 2."""
    file = tmp_path / "cameras.toml"
    file.write_text(HEAD + 'backoff = { cap = "30" }\n')
    verdict = check(file, {})
    assert verdict.exit_code == 2
    error, summary = verdict.lines
    assert error == (
        f'{file}:10: streams.front-door.backoff.cap: found "30", '
        'expected a duration with a unit, like "30s"'
    )
    assert summary == f"{file}: 1 error"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rtsp://cam:99999/x?token=hunter2", "rtsp://cam:99999/x?***"),
        ("rtsp://cam/x?session=hunter 2", "rtsp://cam/x?***"),
        ("rtsp://cam/x?token=#hunter2", "rtsp://cam/x?***"),
        ("https://u:hunter2@cam/x?a=b&sid=hunter2", "https://***@cam/x?***"),
        ("rtsp://cam:x/user=a_password=hunter2_channel=1", "rtsp://cam:x/user=a_password=***"),
        ("rtsp://cam:x/user=a_password=h_x=hunter2", "rtsp://cam:x/user=a_password=***"),
        ("rtsp://cam:x/user=a&loginpas=hunter2", "rtsp://cam:x/user=a&loginpas=***"),
        ("u:p?token=hunter2@cam/x?token=hunter2", "***@cam/x?***"),
        ("cam?", "cam?"),
    ],
)
def test_a_refused_url_is_shown_without_its_secrets(tmp_path: Path, url: str, told: str) -> None:
    """Neither user nor password, and no query, whose secrets may have any name."""
    (error,) = _findings(tmp_path, HEAD.replace("test:", url))
    assert error.found == f'"{told}"'
    assert "hunter2" not in str(error)


@pytest.mark.parametrize("password", ["12/34", "12?34", "99999/34", "1/2@3", "1/${PW}"])
def test_a_password_that_reads_as_a_port_is_refused(tmp_path: Path, password: str) -> None:
    """Its host would be the user's name, and a part of the password stand in the path."""
    (error,) = _findings(
        tmp_path, HEAD.replace("test:", f"rtsp://user:{password}@cam/x"), PW="hunter2"
    )
    assert error.found == '"rtsp://***@cam/x"'
    assert "a / or ? of a password written %2F or %3F" in error.expected


def test_a_stream_that_no_message_holds_is_refused(tmp_path: Path) -> None:
    """A pipeline, or a value in all the forms that are scrubbed, may be too long for a packet."""
    limit = 65536
    fits = HEAD.replace('source = "test:"', f'pipeline = "{"a" * (limit - 200)}"')
    (tmp_path / "cameras.toml").write_text(fits)
    assert load(tmp_path / "cameras.toml", {}).streams
    (error,) = _findings(tmp_path, HEAD.replace('source = "test:"', f'pipeline = "{"a" * limit}"'))
    assert (error.line, error.key) == (9, "streams.front-door.pipeline")
    (found, words) = error.found.split(" ", 1)
    assert int(found) > limit
    assert (words, error.expected) == ("bytes as its worker is sent them", f"at most {limit}")
    (tmp_path / "secret").write_text("a b" * 9000)
    (error,) = _findings(tmp_path, HEAD.replace("test:", "rtsp://camera/${file:secret}"))
    assert (error.line, error.key) == (9, "streams.front-door.source")
