"""The experiments of the benchmark of retries can be made, and show of ours what the page says."""

from benchmarks.retries import OURS, TITLES, _behaviour


def test_ours_stands_each_experiment() -> None:
    """Waits are spread and within the deadline, one layer retries, generators are refused."""
    shown = dict(zip(TITLES, _behaviour(OURS), strict=True))
    del shown["calls under load"]  # a slow machine has more time, and so a larger budget
    assert shown == {
        "library": "stream-manager",
        "sync": "yes",
        "distinct waits": "100",
        "waits past the deadline": "no",
        "nested calls": "3",
        "raises": "OSError",
        "generator functions": "refused",
    }
