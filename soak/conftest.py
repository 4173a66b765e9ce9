"""Campaigns that take minutes; SOAK_MINUTES says how many each of them lasts."""

import os
import sys
from pathlib import Path

import pytest

# The driver of the integration tests is used here too, and pytest leaves the root out of the path.
sys.path.append(str(Path(__file__).parents[1]))


@pytest.fixture
def soak_s() -> float:
    """Give the length of a campaign in seconds."""
    return 60 * float(os.environ.get("SOAK_MINUTES", "10"))
