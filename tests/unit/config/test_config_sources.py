"""Sources become specs; secrets get to where they belong and are known for scrubbing."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_manager.config.placeholders import Vault
from stream_manager.config.sources import (
    ParsedSource,
    SourceError,
    parse_pipeline,
    parse_source,
)
from stream_manager.pipelines.spec import FileSource, PipelineSource, RtspSource, TestSource

HERE = Path("/etc/cameras")


def _parse(text: str, **environ: str) -> ParsedSource:
    expanded = Vault(environ=environ, directory=HERE).expand(text, tell=lambda _f, _e: None)
    assert expanded is not None
    return parse_source(expanded, directory=HERE, transport="tcp", latency_ms=200)


def _pipeline(text: str, **environ: str) -> ParsedSource:
    expanded = Vault(environ=environ, directory=HERE).expand(text, tell=lambda _f, _e: None)
    assert expanded is not None
    return parse_pipeline(expanded)


@pytest.mark.parametrize(
    ("text", "url", "user", "password"),
    [
        ("rtsp://cam/live", "rtsp://cam/live", None, None),
        ("RTSP://cam:8554", "rtsp://cam:8554", None, None),
        ("rtsp://u:p@cam/a?b=c&d", "rtsp://cam/a?b=c&d", "u", "p"),
        ("rtsp://u@cam/", "rtsp://cam/", "u", None),
        ("rtsp://u:@cam/", "rtsp://cam/", "u", ""),
        ("rtsp://u%40x:p%3aq%2F@cam/", "rtsp://cam/", "u@x", "p:q/"),
        ("rtsp://u:p:q@r@cam/x@y", "rtsp://cam/x@y", "u", "p:q@r"),
        ("rtsp://u:12%2F34@cam:554/x@y", "rtsp://cam:554/x@y", "u", "12/34"),
        ("rtsp://cam:554/x%40y", "rtsp://cam:554/x%40y", None, None),
        ("rtsp://cam/x@y", "rtsp://cam/x@y", None, None),
        ("rtsp://[::1]:554/x@y", "rtsp://[::1]:554/x@y", None, None),
        ("rtsp://[2001:db8::1]:554/x", "rtsp://[2001:db8::1]:554/x", None, None),
        ("rtsp://u:p@[fe80::1%eth0]/x", "rtsp://[fe80::1%eth0]/x", "u", "p"),
    ],
)
def test_rtsp_urls_lose_their_user_information(
    text: str, url: str, user: str | None, password: str | None
) -> None:
    """The URL keeps host, port, path and query; user and password stand apart, decoded."""
    source = _parse(text).source
    assert source == RtspSource(url=url, user=user, password=password)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cam",
        "rtsp:",
        "rtsp:cam",
        "rtsp://",
        "rtsp:///live",
        "rtsp://u:p@/live",
        "rtsp://cam:0/",
        "rtsp://cam:99999/",
        "rtsp://cam:port/",
        "rtsp://u:p#w@cam/",
        "rtsp://u:p w@cam/",
        "rtsp://u:p%00@cam/",
        "rtsp://2001:db8::1/",
        "rtsp://[::x]/",
        "rtsp://[]/",
        "file:",
        "file://server/share.mp4",
        "file:///a%00b",
        "test:pattern",
        "rtmp://cam/live",
        "https://cam/live",
        "v4l2:/dev/video0",
        "gopher://cam",
    ],
)
def test_what_is_no_source_of_this_version_is_refused(text: str) -> None:
    """A broken URL, a missing part or another scheme raises SourceError."""
    with pytest.raises(SourceError):
        _parse(text)


def test_files_are_found_from_the_configuration() -> None:
    """Relative, absolute and URL forms name absolute paths; `test:` stands alone."""
    assert _parse("file:clip.mp4").source == FileSource(path="/etc/cameras/clip.mp4")
    assert _parse("file:/abs/a%20b.mp4").source == FileSource(path="/abs/a%20b.mp4")
    assert _parse("file:///abs/a%20b.mp4").source == FileSource(path="/abs/a b.mp4")
    assert _parse("file:${D}/x.ts", D="/data").source == FileSource(path="/data/x.ts")
    assert _parse("test:").source == TestSource()


PRINTABLE = st.text(st.characters(categories=("L", "N", "P", "S"), include_characters=" "))


@given(password=PRINTABLE.filter(bool))
def test_any_password_gets_through_a_url_unchanged(password: str) -> None:
    """No character of a secret is taken for syntax, and its encoded form is known too."""
    parsed = _parse("rtsp://u:${PW}@cam/a?token=${PW}", PW=password)
    source = parsed.source
    assert isinstance(source, RtspSource)
    assert (source.user, source.password) == ("u", password)
    encoded = quote(password, safe="")
    assert source.url == f"rtsp://cam/a?token={encoded}"
    assert {password, encoded} <= set(parsed.secrets)


def test_a_variable_may_hold_the_whole_source_or_its_beginning() -> None:
    """`${CAM_URL}` is read as if it stood there, and its password is a secret of its own."""
    whole = _parse("${CAM_URL}", CAM_URL="rtsp://u:hunter2@cam/x")
    assert whole.source == RtspSource(url="rtsp://cam/x", user="u", password="hunter2")
    assert "hunter2" in whole.secrets
    based = _parse("${BASE}/door?t=${T}", BASE="rtsp://u:hunter2@cam", T="a/b")
    assert based.source == RtspSource(url="rtsp://cam/door?t=a%2Fb", user="u", password="hunter2")


def test_every_form_of_a_secret_is_known() -> None:
    """Raw, percent-encoded and as written; short values only where they are passwords."""
    assert set(_parse("rtsp://u:p%3aq@cam/").secrets) == {"p%3aq", "p:q", "p%3Aq"}
    assert _parse("rtsp://${H}/${P}", H="cam", P="live").secrets == ("live",)
    assert _parse("rtsp://u:${P}@cam/", P="abc").secrets == ("abc",)


def test_a_token_written_into_a_url_is_a_secret() -> None:
    """What a stream's errors tell may name its URL."""
    assert set(_parse("rtsp://cam/x?channel=main&token=one%2ftwo").secrets) == {
        *("one/two", "one%2ftwo", "one%2Ftwo", "one%252ftwo"),
    }


def test_values_in_a_pipeline_are_words() -> None:
    """Outside a URL a value is escaped, inside one percent-encoded."""
    text = 'rtspsrc user-pw=${PW} location=rtsp://u:${PW}@cam/ ! a name="${PW}"'
    parsed = _pipeline(text, PW='a "b\\')
    assert parsed.source == PipelineSource(
        description=(
            'rtspsrc user-pw=a\\ \\"b\\\\ location=rtsp://u:a%20%22b%5C@cam/'
            ' ! a name="a\\ \\"b\\\\"'
        )
    )
    assert {'a "b\\', "a%20%22b%5C", 'a\\ \\"b\\\\'} <= set(parsed.secrets)


def test_passwords_written_into_a_pipeline_are_secrets() -> None:
    """In a URL and in the properties that hold passwords."""
    parsed = _pipeline(
        'rtspsrc location=rtsp://u:one@cam user-pw="t w o" ! srtsrc passphrase=three'
    )
    assert {"one", "t w o", "three"} <= set(parsed.secrets)
    with pytest.raises(SourceError):
        _pipeline("  ")


@pytest.mark.parametrize(
    ("resource", "secrets"),
    [
        ("user=admin_password=Se_c=ret_channel=1", {"Se_c=ret", "Se_c%3Dret"}),
        ("user=a&pwd=S_t=x&channel=1&stream=0.sdp", {"S_t=x", "S_t%3Dx"}),
        ("password=x_y=z;w", {"x_y=z;w", "x_y%3Dz%3Bw"}),
        ("live?loginpas=S3cret&channel=1", {"S3cret"}),
        ("live?sid=0123abcd&x=1", {"0123abcd"}),
        ("live?whatever=a_channel=b;c", {"a_channel=b;c", "a_channel%3Db%3Bc"}),
        ("live?password=ab", {"ab"}),
        ("live?pw=ab&user_pwd=c&code=xyz", {"ab", "c"}),
        ("live?%70assword=ab", {"ab"}),
        ("live?channel=main&subtype=1234&stream=front&Profile=Profile_1", set()),
        ("live?channel=1_password=Se_c=ret", {"Se_c=ret", "Se_c%3Dret"}),
    ],
)
def test_every_value_of_a_query_is_a_secret_unless_its_key_is_harmless(
    resource: str, secrets: set[str]
) -> None:
    """Whole, with what is a separator elsewhere; a password however short it is."""
    assert set(_parse(f"rtsp://cam/{resource}").secrets) == secrets
    pipeline = _pipeline(f"rtspsrc location=rtsp://cam/{resource} ! queue")
    assert secrets <= {*pipeline.secrets}
