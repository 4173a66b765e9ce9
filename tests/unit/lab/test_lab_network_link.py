import pytest

from stream_manager.errors import UsageError
from stream_manager.lab.faults import Order, parse
from stream_manager.lab.network.faults import NETWORK_FAULTS, conditions
from stream_manager.lab.network.link import Conditions, Link
from stream_manager.testing import FakeClock

KBIT = 1000.0


def link(chance: float = 0.0, **wanted: float | bool) -> tuple[Link, FakeClock]:
    """Return a link under these conditions, where every draw gives `chance`, and its clock."""
    clock = FakeClock(now_s=1000.0)
    made = Link(clock, lambda: chance)
    made.change(Conditions(**wanted))  # type: ignore[arg-type]
    return made, clock


def order(line: str) -> Order:
    """Return what a line orders."""
    parsed = parse(line, NETWORK_FAULTS)
    assert isinstance(parsed, Order)
    return parsed


def test_a_perfect_link_takes_no_time() -> None:
    """Without faults everything arrives in the instant in which it was sent."""
    perfect, _ = link()
    assert perfect.take(1_000_000, perfect.to_viewer) == (1000.0, 1000.0)
    assert perfect.datagram_s(1400, perfect.to_viewer) == 0.0


def test_a_slow_link_passes_bytes_one_after_another() -> None:
    """What comes second waits for the first, and after a pause there is nothing to wait for."""
    slow, clock = link(rate_bps=8 * KBIT)
    assert slow.take(500, slow.to_viewer)[0] == pytest.approx(1000.5)
    assert slow.take(500, slow.to_viewer)[0] == pytest.approx(1001.0)
    assert slow.take(500, slow.to_target)[0] == pytest.approx(1000.5)  # the ways are separate
    clock.now_s = 1010.0
    assert slow.take(500, slow.to_viewer)[0] == pytest.approx(1010.5)


def test_a_healed_rate_keeps_nobody_waiting() -> None:
    """What was still to pass at the old rate does not hold up what comes after the change."""
    slow, _ = link(rate_bps=8 * KBIT)
    slow.take(5000, slow.to_viewer)
    slow.change(Conditions())
    assert slow.take(500, slow.to_viewer) == (1000.0, 1000.0)


def test_a_slow_link_takes_small_portions() -> None:
    """A portion passes within 50 ms, so that connections share the link and a change is felt."""
    slow, _ = link(rate_bps=200 * KBIT)
    assert slow.grain_bytes == 1250
    assert link()[0].grain_bytes == 65536
    assert link(rate_bps=1 * KBIT)[0].grain_bytes == 256


def test_latency_and_jitter_add_up() -> None:
    """Everything takes the latency, and the drawn part of the jitter."""
    far, _ = link(chance=0.5, latency_s=0.2, jitter_s=0.1)
    assert far.take(1, far.to_viewer)[1] == pytest.approx(1000.25)
    assert far.datagram_s(1, far.to_viewer) == pytest.approx(0.25)
    assert far.end_s() == pytest.approx(1000.25)


def test_a_slow_close_delays_ends_alone() -> None:
    """An end takes longer by that much, and data does not."""
    slow, _ = link(slow_close_s=5.0)
    assert slow.end_s() == 1005.0
    assert slow.take(1, slow.to_viewer)[1] == 1000.0


@pytest.mark.parametrize(
    ("chance", "loss", "lost"),
    [(0.0, 0.0, False), (0.09, 0.1, True), (0.1, 0.1, False), (0.999, 1.0, True)],
)
def test_datagrams_are_lost_by_chance(chance: float, loss: float, *, lost: bool) -> None:
    """A draw below the share loses the datagram, any other does not."""
    lossy, _ = link(chance, loss=loss)
    assert (lossy.datagram_s(1400, lossy.to_viewer) is None) is lost


def test_a_cut_link_loses_every_datagram() -> None:
    """No chance is needed for that."""
    cut, _ = link(0.5, cut=True)
    assert cut.datagram_s(1400, cut.to_viewer) is None


def test_a_slow_link_drops_datagrams_that_would_wait_too_long() -> None:
    """A flood fills the queue with half a second's worth, and the rest of it is dropped."""
    slow, _ = link(rate_bps=40 * KBIT)
    fates = [slow.datagram_s(1000, slow.to_viewer) for _ in range(20)]
    delays = [fate for fate in fates if fate is not None]
    assert delays == pytest.approx([0.2, 0.4, 0.6])
    assert fates[3:] == [None] * 17


def test_faults_combine() -> None:
    """Several at once make one link that has all their properties."""
    lines = [
        *("latency by=200ms", "jitter up-to=100ms", "rate limit=1.5Mbit/s", "cut"),
        *("half-open", "slow-close by=5s", "loss share=12.5%"),
    ]
    assert conditions(map(order, lines)) == Conditions(
        latency_s=0.2,
        jitter_s=0.1,
        rate_bps=1.5e6,
        loss=0.125,
        cut=True,
        half_open=True,
        slow_close_s=5.0,
    )
    assert {order(line).name for line in lines} == {kind.name for kind in NETWORK_FAULTS}


def test_every_fault_changes_the_link() -> None:
    """None is a word without an effect."""
    lines = ("latency by=1s", "jitter up-to=1s", "rate limit=1kbit/s", "cut", "half-open")
    for line in (*lines, "slow-close by=1s", "loss share=1%"):
        assert conditions([order(line)]) != Conditions()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("rate limit=200", "rate: limit=200: expected a rate with a unit"),
        ("rate limit=0kbit/s", "rate: limit=0kbit/s: expected at least 1kbit/s"),
        ("rate", "rate: limit=… is missing"),
        ("loss share=101%", "loss: share=101%: expected a share from 0% to 100%"),
        ("loss share=0.1", "loss: share=0.1: expected a share"),
        ("latency by=200", "latency: by=200: '200' is not a duration with a unit"),
        ("cut by=3s", "cut: it takes no 'by=3s', only after=…, for=…"),
        ("flood", "there is no fault 'flood'. There are: latency, jitter, rate, cut, half-open"),
    ],
)
def test_a_wrong_line_is_told_what_would_do(line: str, complaint: str) -> None:
    """The error names the fault, the value and what was expected."""
    with pytest.raises(UsageError) as caught:
        parse(line, NETWORK_FAULTS)
    assert str(caught.value).startswith(complaint)
