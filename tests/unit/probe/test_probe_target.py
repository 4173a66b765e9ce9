"""What a source's text becomes: a source to play, and a text without a secret to show."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.errors import UsageError
from stream_manager.pipelines.spec import FileSource, RtspSource, TestSource
from stream_manager.probe import Target, read_target

HERE = Path("/videos")
ENVIRON = {"CAM_PASSWORD": "s3cret/@pass", "URL": "rtsp://u:hidden1@cam/door", "TOKEN": "t0ken"}


def target(url: str, **options: object) -> Target:
    """Read a source with some variables set."""
    return read_target(
        url,
        environ=ENVIRON,
        directory=HERE,
        transport=options.get("transport"),  # type: ignore[arg-type]  # "tcp", "udp" or None
    )


def rtsp(url: str) -> RtspSource:
    """Return the camera that is played."""
    source = target(url).source
    assert isinstance(source, RtspSource)
    return source


@pytest.mark.parametrize(
    ("url", "text", "exports"),
    [
        ("rtsp://cam/door", "rtsp://cam/door", ()),
        ("rtsp://viewer@cam/door", "rtsp://viewer@cam/door", ()),
        (
            "rtsp://viewer:${CAM_PASSWORD}@cam/door",
            "rtsp://viewer:${CAM_PASSWORD}@cam/door",
            (),
        ),
        (
            "rtsp://viewer:open%2Fsecret@cam/door",
            "rtsp://viewer:${CAM_PASSWORD}@cam/door",
            ("CAM_PASSWORD",),
        ),
        (
            "rtsp://viewer:a@b:c@cam/door",
            "rtsp://viewer:${CAM_PASSWORD}@cam/door",
            ("CAM_PASSWORD",),
        ),
        (
            "rtsp://viewer:half${TOKEN}@cam/door",
            "rtsp://viewer:${CAM_PASSWORD}@cam/door",
            ("CAM_PASSWORD",),
        ),
        # The name that is given already means another value.
        (
            "rtsp://viewer:open@cam/door?token=${CAM_PASSWORD}",
            "rtsp://viewer:${CAM_PASSWORD_2}@cam/door?token=${CAM_PASSWORD}",
            ("CAM_PASSWORD_2",),
        ),
        (
            "rtsp://cam/live?channel=1&token=abcdef&x=1",
            "rtsp://cam/live?channel=1&token=${CAM_TOKEN}&x=${CAM_TOKEN_2}",
            ("CAM_TOKEN", "CAM_TOKEN_2"),
        ),
        (
            "rtsp://u;x=1@cam/live;subtype=1?loginpas=S3cret&sid=0123&unicast=true",
            "rtsp://u;x=1@cam/live;subtype=1?loginpas=${CAM_TOKEN}&sid=${CAM_TOKEN_2}&unicast=true",
            ("CAM_TOKEN", "CAM_TOKEN_2"),
        ),
        (
            "rtsp://127.0.0.1:1/user=admin_password=Se_c=ret_channel=1",
            "rtsp://127.0.0.1:1/user=admin_password=${CAM_TOKEN}_channel=1",
            ("CAM_TOKEN",),
        ),
        (
            "rtsp://cam/user=admin_password=abcdef_channel=1_stream=0.sdp",
            "rtsp://cam/user=admin_password=${CAM_TOKEN}_channel=1_stream=0.sdp",
            ("CAM_TOKEN",),
        ),
        *(
            (
                f"rtsp://cam/live?{name}=abcdef",
                f"rtsp://cam/live?{name}=${{CAM_TOKEN}}",
                ("CAM_TOKEN",),
            )
            for name in ("pw", "passcode", "apikey", "api_key", "API_KEY")
        ),
        ("${URL}", "${URL}", ()),
        ("test:", "test:", ()),
        ("file:door.mp4", "file:/videos/door.mp4", ()),
        ("file:${TOKEN}.mp4", "file:${TOKEN}.mp4", ()),
    ],
)
def test_every_secret_becomes_a_placeholder(url: str, text: str, exports: tuple[str, ...]) -> None:
    """What is pasted holds names; those of secrets that were given in the open are told."""
    read = target(url)
    assert (read.text, read.exports) == (text, exports)


def test_what_is_played_has_the_secrets_that_what_is_shown_has_not() -> None:
    """The camera is asked with the password as it is, however it was written."""
    assert rtsp("rtsp://viewer:${CAM_PASSWORD}@cam/x").password == "s3cret/@pass"
    assert rtsp("rtsp://viewer:s3cret%2F%40pass@cam/x").password == "s3cret/@pass"
    assert rtsp("rtsp://cam/x?token=${TOKEN}").url == "rtsp://cam/x?token=t0ken"
    assert target("test:").source == TestSource()
    assert target("file:door.mp4").source == FileSource(path="/videos/door.mp4")


@pytest.mark.parametrize(
    "url", ["rtsp://viewer:open-s3cret@cam/door", "rtsp://cam/door?token=open-s3cret"]
)
def test_a_secret_is_scrubbed_from_all_that_is_said(url: str) -> None:
    """The probing process is told what no text of its may hold; a repr does not show it."""
    read = target(url)
    assert "open-s3cret" in read.secrets
    assert "open-s3cret" not in repr(read)


def test_a_short_password_in_a_variable_is_scrubbed_too() -> None:
    """As one in the open is."""
    read = read_target("rtsp://u:${P}@cam/x", environ={"P": "ab"}, directory=HERE, transport=None)
    assert read.secrets == ("ab",)


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=20))
def test_no_password_is_ever_shown(password: str) -> None:
    """Whatever letters it is made of."""
    secret = f"pw{password}"
    read = read_target(
        f"rtsp://viewer:{secret}@10.0.0.7:8554/door",
        environ={},
        directory=HERE,
        transport=None,
    )
    assert secret not in f"{read.text} {read.id} {read!r}"


@pytest.mark.parametrize("before", ["", "rtsp:", "rtsp:/", "rstp://", "rtsp//", " rtsp://", "\n"])
@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=20))
def test_no_slip_in_a_url_shows_its_password(before: str, password: str) -> None:
    """Without a scheme, with one slash, misspelt: it is refused without what it holds."""
    secret = f"pw{password.replace('$', '')}wp"
    with pytest.raises(UsageError) as error:
        read_target(
            f"{before}viewer:{secret}@10.0.0.7/door",
            environ={},
            directory=HERE,
            transport=None,
        )
    found, _, _ = str(error.value).partition(", expected ")
    assert found.endswith('***@10.0.0.7/door"')
    assert "viewer" not in found
    assert secret not in found


@pytest.mark.parametrize(
    ("url", "id_"),
    [
        ("rtsp://10.0.0.7/front-door", "front-door"),
        ("rtsp://10.0.0.7:8554/a/h264Preview_01_main", "h264preview_01_main"),
        ("rtsp://10.0.0.7/cam/realmonitor?channel=1&subtype=0", "realmonitor"),
        ("rtsp://u:p@10.0.0.7:554/Streaming/Channels/101", "cam-10-0-0-7"),
        ("rtsp://[fd00::7]:554/1", "cam-fd00-7"),
        ("rtsp://cam/user=admin_password=abcdef", "cam-cam"),
        ("rtsp://cam/${TOKEN}", "cam-cam"),
        ("${URL}", "cam"),
        ("file:門.mp4", "camera"),
        ("test:", "test"),
        ("file:/videos/Front Door (1).mp4", "front-door-1"),
        ("rtsp://cam/" + "x" * 100, "x" * 64),
    ],
)
def test_a_stream_is_named_after_what_may_be_shown(url: str, id_: str) -> None:
    """The path's last part if it says something, else the host; never a placeholder's value."""
    assert target(url).id == id_


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", 'found "nonsense", expected an "rtsp://" URL'),
        ("rtmp://cam/x", "rtmp is not in this version"),
        ("rtsp://u:open-s3cret@cam:port/x", 'found "rtsp://***@cam:port/x"'),
        ("u:open-s3cret@cam/x", 'found "***@cam/x"'),
        ("rtsp://u:12/open-s3cret@cam/x", 'found "rtsp://***@cam/x", expected a / or ? of a'),
        ("rtsp:/u:open-s3cret@cam/x", 'found "rtsp:/***@cam/x"'),
        ("rtsp://cam:99999/x?token=open-s3cret", "expected"),
        ("rtsp://u:${NOPE}@cam/x", "found no environment variable NOPE, expected a value"),
        ("rtsp://cam/${", 'found "${" without a name'),
        ("", 'found ""'),
    ],
)
def test_a_bad_source_is_refused_without_its_secret(url: str, words: str) -> None:
    """The error names what was found and expected."""
    with pytest.raises(UsageError) as error:
        target(url)
    assert words in str(error.value)
    assert "open-s3cret" not in str(error.value)


def test_a_transport_belongs_to_rtsp() -> None:
    """As in a configuration, what has no meaning is refused."""
    assert target("rtsp://cam/x", transport="udp").source == RtspSource(
        url="rtsp://cam/x", transport="udp"
    )
    with pytest.raises(UsageError, match="--transport: only RTSP has one"):
        target("test:", transport="udp")


def test_a_name_that_is_not_utf8_is_refused() -> None:
    """Python hands such bytes of a command line over as characters that no text may hold."""
    with pytest.raises(UsageError, match="control character"):
        target("file:" + os.fsdecode(b"\xff"))
