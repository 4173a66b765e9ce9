import pytest
from benchmarks.figures import Figure, figure_in_ms, percentile


def figure(*samples: float, median: float | None = None, p99: float | None = None) -> Figure:
    """Return a figure of these samples, with these targets."""
    return Figure(name="x", unit="ms", samples=samples, median_at_most=median, p99_at_most=p99)


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [(1, 0.99, 1), (40, 0.99, 40), (100, 0.99, 99), (101, 0.99, 100), (4, 0.5, 2), (4, 1.0, 4)],
)
def test_percentile(count: int, share: float, expected: float) -> None:
    """A percentile is a sample, the nearest rank, whatever the order of the samples."""
    assert percentile(range(count, 0, -1), share) == expected


def test_median_and_p99() -> None:
    """The median of an even number is the mean of the middle two; the p99 of few is the worst."""
    it = figure(4, 1, 3, 2)
    assert (it.median, it.p99) == (2.5, 4)


@pytest.mark.parametrize(
    ("median", "p99"), [(2, None), (None, 3), (2, 3)], ids=["median", "p99", "both"]
)
def test_met(median: float | None, p99: float | None) -> None:
    """A figure is met when each target that it has is reached; reaching it exactly is enough."""
    assert figure(1, 2, 3, median=median, p99=p99).met


@pytest.mark.parametrize(("median", "p99"), [(1.9, None), (None, 2.9), (2, 2.9), (1.9, 3)])
def test_missed(median: float | None, p99: float | None) -> None:
    """One target that is not reached is enough to miss."""
    assert figure(1, 2, 3, median=median, p99=p99).met is False


def test_without_target() -> None:
    """What nobody asked for is neither met nor missed."""
    assert figure(1).met is None


def test_no_samples() -> None:
    """A figure without a sample can't be: it would show nothing as if it were something."""
    with pytest.raises(ValueError, match="at least one sample"):
        figure()


def test_seconds_become_milliseconds() -> None:
    """Samples are converted, targets are not: they are given in milliseconds."""
    it = figure_in_ms("x", [0.1, 0.3], median_at_most=200)
    assert (it.median, it.met) == (200, True)
