"""How an incident is put for people."""

from collections.abc import Iterator, Mapping

from stream_manager.cli.words import plain, stamp, without_debug
from stream_manager.evidence import Case, Kept
from stream_manager.evidence.gathering import GRAPH, LOG, SERVER_LOG, STACKS, THREADS

LOG_LINES = 30
_KERNEL = "\nkernel stack of "  # what threads.txt goes on with, for whoever wants all of it


def list_line(case: Case) -> str:
    """Return an incident in a line."""
    it = case.first
    text = f"{it.number:>7}  {stamp(it.at)}  {it.component}  {it.cause}: {it.code}: {it.text}"
    return plain(without_debug(text))


def show_lines(case: Case, files: Mapping[int, Mapping[str, str]]) -> Iterator[str]:
    """Yield what is kept, `files` by the seq of a finding and their name."""
    yield f"incident {case.number} of {case.stream}, from {stamp(case.first.at)} on"
    for kept, _ in case.findings:
        yield ""
        yield from _finding(kept)
        yield from _files(files[kept.seq])
    yield ""
    yield "The journal of it:"


def _finding(it: Kept) -> Iterator[str]:
    yield plain(f"{stamp(it.at)}  {it.component}: {it.cause} fault {it.code}: {it.text}")
    yield f"  It was judged {it.fault_class} by rule {it.rule} (entry {it.seq} of the journal)."
    if it.pid is not None:
        ended = "it had not ended by then" if it.exit is None else it.exit
        yield f"  Its worker, pid {it.pid} of epoch {it.epoch}: {ended}."


def _files(files: Mapping[str, str]) -> Iterator[str]:
    if threads := files.get(THREADS):
        yield from _text("What its threads did", threads.partition(_KERNEL)[0])
    stacks = files.get(STACKS, "")
    if stacks:
        yield from _text("Its stacks", stacks)
    if log := files.get(LOG, "").replace(stacks, ""):
        yield from _log("What it wrote into its log", log)
    if log := files.get(SERVER_LOG, ""):
        yield from _log("What the fork server wrote into its log", log)
    graphs = [name.removesuffix(GRAPH) for name in files if name.endswith(GRAPH)]
    if graphs:
        yield f"  Graphs of its pipelines, with --bundle: {', '.join(graphs)}"


def _log(title: str, log: str) -> Iterator[str]:
    lines = log.splitlines()
    some = f", the last {LOG_LINES} of {len(lines)} lines" if len(lines) > LOG_LINES else ""
    yield from _text(f"{title}{some}", "\n".join(lines[-LOG_LINES:]))


def _text(title: str, text: str) -> Iterator[str]:
    yield f"  {title}:"
    yield from (f"    {plain(line.expandtabs())}" for line in text.strip("\n").splitlines())
