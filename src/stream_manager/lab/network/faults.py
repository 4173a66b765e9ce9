"""What can be wrong with the network: the words for it, and what each makes of the link."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from stream_manager.config.durations import duration_s
from stream_manager.lab.faults import FaultKind, Option, Order
from stream_manager.lab.network.link import Conditions

_UNITS_BPS = {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(bit/s|kbit/s|Mbit/s|Gbit/s)", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%", re.ASCII)
RATE_MIN_BPS = 1000.0


def rate_bps(text: str) -> float:
    """Read a rate like "200kbit/s"; raises ValueError for anything else."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError('expected a rate with a unit, like "200kbit/s" or "1.5Mbit/s"')
    rate = float(found[1]) * _UNITS_BPS[found[2]]
    if rate < RATE_MIN_BPS:
        raise ValueError("expected at least 1kbit/s; cut lets nothing pass")
    return rate


def share(text: str) -> float:
    """Read a share like "10%"; raises ValueError for anything else."""
    found = _SHARE.fullmatch(text)
    if found is None or float(found[1]) > 100:
        raise ValueError('expected a share from 0% to 100%, like "10%"')
    return float(found[1]) / 100


def _duration_option(name: str, means: str) -> Option:
    return Option(name=name, means=f"{means}, like 200ms", read=duration_s)


NETWORK_FAULTS = (
    FaultKind(
        name="latency",
        does="everything takes that much longer, each way",
        options=(_duration_option("by", "how much longer"),),
    ),
    FaultKind(
        name="jitter",
        does="everything takes longer at random; connections keep their order, datagrams do not",
        options=(_duration_option("up-to", "how much longer at most"),),
    ),
    FaultKind(
        name="rate",
        does="no more than that passes in a second, each way, for all connections together",
        options=(Option(name="limit", means="bits a second, like 200kbit/s", read=rate_bps),),
    ),
    FaultKind(
        name="cut",
        does="nothing passes any more, not even the beginning or the end of a connection",
    ),
    FaultKind(
        name="half-open",
        does="present connections are ended, new ones are accepted and never answered",
    ),
    FaultKind(
        name="slow-close",
        does="when one side ends, the other learns it only later",
        options=(_duration_option("by", "how much later"),),
    ),
    FaultKind(
        name="loss",
        does="datagrams, which is RTP over UDP, are lost at random",
        options=(Option(name="share", means="how many of them, like 10%", read=share),),
    ),
)

_EFFECTS: dict[str, Callable[[Conditions, Order], Conditions]] = {
    "latency": lambda link, order: replace(link, latency_s=order.options["by"]),
    "jitter": lambda link, order: replace(link, jitter_s=order.options["up-to"]),
    "rate": lambda link, order: replace(link, rate_bps=order.options["limit"]),
    "cut": lambda link, _: replace(link, cut=True),
    "half-open": lambda link, _: replace(link, half_open=True),
    "slow-close": lambda link, order: replace(link, slow_close_s=order.options["by"]),
    "loss": lambda link, order: replace(link, loss=order.options["share"]),
}


def conditions(orders: Iterable[Order]) -> Conditions:
    """Return what the link is like under all these faults at once."""
    link = Conditions()
    for order in orders:
        link = _EFFECTS[order.name](link, order)
    return link
