"""What a worker leaves in shared memory is read without it, and when it is dead too."""

import os

import pytest

from stream_manager.pipelines.vitals import Vitals, VitalsPage


@pytest.fixture
def page() -> VitalsPage:
    """Return a page of this process, as a worker has one."""
    return VitalsPage()


def test_what_is_renewed_is_read(page: VitalsPage) -> None:
    """Each look finds the newest, by a descriptor of its own."""
    vitals = Vitals()
    vitals.open(os.getpid(), page.fd)
    vitals.look()
    assert (vitals.at_s, vitals.last_media_s) == (None, None)
    page.renew(5.0, None)
    vitals.look()
    assert (vitals.at_s, vitals.last_media_s) == (5.0, None)
    page.renew(5.2, 5.1)
    os.close(page.fd)
    vitals.look()
    assert (vitals.at_s, vitals.last_media_s) == (5.2, 5.1)


def test_the_last_word_of_a_worker_is_kept(page: VitalsPage) -> None:
    """When its process is closed, what it left is read for the last time, and stays known."""
    vitals = Vitals()
    vitals.open(os.getpid(), page.fd)
    page.renew(7.0, 6.9)
    vitals.close()
    page.renew(8.0, 7.9)
    vitals.close()
    vitals.look()
    assert (vitals.at_s, vitals.last_media_s) == (7.0, 6.9)
    os.close(page.fd)


def test_a_worker_that_offers_nothing_is_no_error(page: VitalsPage) -> None:
    """It may be of an earlier version, or have ended."""
    vitals = Vitals()
    os.close(page.fd)
    for offered in (None, page.fd):
        vitals.open(os.getpid(), offered)
        vitals.look()
        assert (vitals.at_s, vitals.last_media_s) == (None, None)
