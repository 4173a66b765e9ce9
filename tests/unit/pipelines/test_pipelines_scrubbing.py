"""Texts lose their secrets, in whatever form they hold them."""

import pytest

from stream_manager.pipelines.scrubbing import scrub


@pytest.mark.parametrize(
    "text",
    ["login p@ss/1 failed", "login p%40ss%2F1 failed", "rtsp://user:p@ss/1x@host/a"],
)
def test_no_text_keeps_a_secret(text: str) -> None:
    """A secret goes from a text in each of its forms."""
    scrubbed = scrub(text, ("p@ss/1",))
    assert "p@ss" not in scrubbed
    assert "p%40ss" not in scrubbed


def test_user_information_goes_from_every_url() -> None:
    """What stands before the host is dropped, whoever put it there."""
    assert scrub("at rtsp://u:p@host/a", ()) == "at rtsp://***@host/a"


def test_what_a_request_is_authorised_by_goes() -> None:
    """A password is not to be had from its Base64 either."""
    request = "PLAY rtsp://host/a\nAuthorization: Basic dTpw\nSession: 1"
    assert scrub(request, ()) == "PLAY rtsp://host/a\nAuthorization: Basic ***\nSession: 1"
