"""The table that `status` draws: health first, then what is wrong and what happens next."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stream_manager.cli.words import (
    ago,
    at,
    bit_rate,
    in_time,
    not_saved,
    plain,
    share,
    without_debug,
)
from stream_manager.recovery import span

WIDE = 120  # columns from which on a row has room for outputs and faults

_HEALTH_STYLES = {
    "healthy": "green",
    "degraded": "yellow",
    "unhealthy": "bold red",
    "failed": "bold white on red",
}

# Causes that no further attempt with the same settings can heal.
_OF_SETTINGS = frozenset({"auth", "config"})

# States of a task of the manager's own in which it does not work.
_BROKEN = frozenset({"tearing_down", "backing_off", "failed"})

Json = dict[str, Any]


def draw(
    status: Json, *, now: datetime, width: int, command: Callable[[str], str]
) -> Iterator[RenderableType]:
    """Yield what to print for an answer of the API, for a terminal of `width` columns.

    command: returns how a command, like "start cam", is typed for the manager that answered.
    """
    yield from _header(status["manager"], now)
    streams = status["streams"]
    if not streams:
        yield Text("no streams are configured")
        return
    yield from (_incident(domain, now) for domain in status["domains"])
    wide = width >= WIDE
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("STREAM", overflow="fold")
    for title in ("HEALTH", "STATE"):
        table.add_column(title, no_wrap=True)
    for title in ("FPS", "BIT RATE", "AVAILABLE"):
        table.add_column(title, no_wrap=True, justify="right")
    if wide:
        table.add_column("LOST", no_wrap=True, justify="right")
        table.add_column("LAST FAULT", no_wrap=True)
        table.add_column("OUTPUTS", overflow="fold")
    for stream in streams:
        row = _row(stream)
        if wide:
            row += [_lost(stream), _sighting(stream, now), _outputs(stream)]
        table.add_row(*row)
    yield table
    yield from _details(streams, now, command, wide=wide)


def _header(manager: Json, now: datetime) -> Iterator[Text]:
    yield Text(
        f"stream-manager {manager['version']}, pid {manager['pid']},"
        f" up {span(manager['uptime_s'])}",
        style="dim",
    )
    for key, what in (("store", "journal"), ("index", "index of recordings")):
        health = manager.get(key)
        if not health or health["state"] == "ok":
            continue
        yield Text(not_saved(what, health, now), style="bold red")
    yield from (_task(it, now) for it in manager.get("tasks", ()) if it["state"] in _BROKEN)


def _task(task: Json, now: datetime) -> Text:
    """Say which of the manager's own tasks has broken, of what, and when it is tried again."""
    fault, delay_s = task["last_fault"], task["next_attempt_in_s"]
    said = f": {plain(fault['code'])}: {plain(fault['message'])}" if fault else ""
    awaited = "" if delay_s is None else f"; attempt {task['attempt']} {in_time(delay_s, now)}"
    state = task["state"].replace("_", " ")
    return Text(f"the manager's own {task['id']} is {state}{said}{awaited}", style="bold red")


def _incident(domain: Json, now: datetime) -> Text:
    """Say what failed for many at once, since when, and what it waits for."""
    since = datetime.fromisoformat(domain["since"])
    if domain["probe"] is not None:
        awaited = f"{domain['probe']} is trying"
    elif domain["next_probe_in_s"] is not None:
        awaited = f"the next one tries {in_time(domain['next_probe_in_s'], now)}"
    else:
        awaited = "all are coming back"
    return Text(
        f"{plain(domain['domain'])}: {domain['cause']} incident, {domain['state']},"
        f" began {ago(since, now)} ({at(since, now)}): {domain['members']} parked so far,"
        f" {domain['waiting']} wait; {awaited}",
        style="bold red",
    )


def _row(stream: Json) -> list[Text]:
    media = stream["media"]
    known = stream["availability"] is not None
    return [
        Text(stream["id"]),
        _health(stream["health"]),
        Text(stream["state"].replace("_", " ")),
        Text(f"{media['fps']:.1f}") if media["fps"] else _nothing(),
        Text(bit_rate(media["bitrate_bps"])) if media["bitrate_bps"] else _nothing(),
        Text(share(stream["availability"])) if known else _nothing(),
    ]


def _nothing() -> Text:
    return Text("-", style="dim")


def _health(health: str | None) -> Text:
    return _nothing() if health is None else Text(health, style=_HEALTH_STYLES.get(health, ""))


def _lost(stream: Json) -> Text:
    return Text(span(stream["outage_s_total"])) if stream["outage_s_total"] else _nothing()


def _outputs(stream: Json) -> Text:
    text = Text()
    for output in stream["outputs"]:
        text.append(", " if text else "")
        text.append(
            f"{output['id']} {output['state'].replace('_', ' ')}",
            style=_HEALTH_STYLES.get(output["health"] or "", "dim"),
        )
    return text or _nothing()


def _sighting(stream: Json, now: datetime) -> Text:
    fault = stream["last_fault"]
    if fault is None:
        return _nothing()
    style = "dim" if stream["health"] == "healthy" else ""
    return Text(f"{fault['cause']} {ago(datetime.fromisoformat(fault['at']), now)}", style=style)


def _details(
    streams: list[Json], now: datetime, command: Callable[[str], str], *, wide: bool
) -> Iterator[RenderableType]:
    """Yield what no row has room for, of each stream that is not simply well."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", overflow="fold")
    grid.add_column(overflow="fold")
    for stream in streams:
        well = stream["health"] == "healthy"
        texts = [] if well and wide else [_fault(stream, now, over=well)]
        unwell = stream["health"] and any(it["health"] != "healthy" for it in stream["outputs"])
        if unwell and not wide:
            texts.append(Text.assemble("outputs: ", _outputs(stream)))
        texts += [_abandoned(stream), _waits(stream), _next(stream, now, command)]
        if lines := [text for text in texts if text]:
            grid.add_row(stream["id"], Text("\n").join(lines))
    if grid.row_count:
        yield Text()
        yield grid


def _fault(stream: Json, now: datetime, *, over: bool) -> Text:
    fault = stream["last_fault"]
    if fault is None:
        return Text()
    when = datetime.fromisoformat(fault["at"])
    texts = (fault["code"], without_debug(fault["message"]))
    said = ": ".join(plain(text) for text in texts if text)
    return Text(
        f"{fault['cause']} fault {ago(when, now)} ({at(when, now)}): {said}",
        style="dim" if over else "",
    )


def _abandoned(stream: Json) -> Text:
    """Say which process of it is still there, though it was killed and another one runs."""
    pids = ", ".join(map(str, stream["abandoned"]))
    text = f"killed, but the kernel does not let go of process {pids}" if pids else ""
    return Text(text, style="bold red")


def _waits(stream: Json) -> Text:
    """Say which domain's incident the stream, or an output of it, has to wait for."""
    parts = [("", stream), *((f"{it['id']} ", it) for it in stream["outputs"])]
    waits = [f"{part}waits for {it['waits_for']}" for part, it in parts if it["waits_for"]]
    return Text(plain(", ".join(waits)))


def _next(stream: Json, now: datetime, command: Callable[[str], str]) -> Text:
    delay_s, state, id_ = stream["next_attempt_in_s"], stream["state"], stream["id"]
    if delay_s is not None:
        tries = "looks again" if state == "failed" else f"attempt {stream['attempt']}"
        return Text(f"next: {tries} {in_time(delay_s, now)}")
    if state == "stopped":
        return Text(f"next: nothing, until: {command(f'start {id_}')}")
    if state == "failed":
        fault = stream["last_fault"]
        if fault is None or fault["cause"] not in _OF_SETTINGS:
            return Text(f"next: nothing, until: {command(f'reset {id_}')}")
        # A reset would present the refused password again; the explanation tells the way.
        return Text(f"next: nothing, until that is put right: {command(f'explain {id_}')}")
    return Text()
