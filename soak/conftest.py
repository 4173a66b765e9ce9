"""Campaigns that take minutes; SOAK_MINUTES says how many each of them lasts."""

import os

import pytest


@pytest.fixture
def soak_s() -> float:
    """Give the length of a campaign in seconds."""
    return 60 * float(os.environ.get("SOAK_MINUTES", "10"))
