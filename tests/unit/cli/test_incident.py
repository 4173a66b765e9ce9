"""`incident`: what is kept is listed, shown and bundled, whether or not a manager runs."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.evidence.kept import CRASH as KEPT

from stream_manager.evidence.shelf import Shelf

Cli = Callable[..., tuple[int, str, str]]

HANG = replace(
    KEPT,
    stream="front-door",
    component="front-door",
    rule="hang-once",
    cause="hang",
    code="hang",
    text="the worker has said nothing\x1b[31m for 1.6 s",
    epoch=1,
    pid=4711,
    exit="it was ended by SIGKILL (Killed), which this manager sent",
)
CRASH = replace(HANG, seq=52, code="exit:3", text="it ended", pid=4712, epoch=2, exit=None)
REFUSED = replace(HANG, number=61, seq=61, stream="yard", component="yard/source", pid=None)
FILES = {
    "threads.txt": "State:\tT (stopped)\n\nkernel stack of 4711 (x):\n[<0>] do_signal_stop\n",
    "stacks.txt": "none: no thread of it runs\n",
    "worker.log": "".join(f"line {number}\n" for number in range(40)),
    "source.dot": "digraph {}",
}
SAID = "hang: hang: the worker has said nothing [31m for 1.6 s"
SHOWN = """\
incident 46 of front-door, from 2026-01-31 13:00:05.099 on

2026-01-31 13:00:05.099  front-door: hang fault hang: the worker has said nothing [31m for 1.6 s
  It was judged transient by rule hang-once (entry 46 of the journal).
  Its worker, pid 4711 of epoch 1: it was ended by SIGKILL (Killed), which this manager sent.
  What its threads did:
    State:  T (stopped)
  Its stacks:
    none: no thread of it runs
  What it wrote into its log, the last 30 of 40 lines:
    line 10
"""


@pytest.fixture
def where(config: str) -> tuple[str, str]:
    """Keep three findings of two incidents; give how the manager is named."""
    shelf = Shelf(Path(config).parent / ("d" * 100) / "state" / "incidents")
    shelf.put(HANG, FILES)
    shelf.put(CRASH, {})
    shelf.put(REFUSED, {"forkserver.log": "Traceback\n"})
    return "--config", config


def test_incidents_are_listed(cli: Cli, where: tuple[str, str]) -> None:
    """One line each, by number; of a stream on request; no text moves a terminal's cursor."""
    code, out, _ = cli("incident", "list", *where)
    assert code == 0
    assert out.splitlines() == [
        f"     46  2026-01-31 13:00:05.099  front-door  {SAID}",
        f"     61  2026-01-31 13:00:05.099  yard/source  {SAID}",
    ]
    _, out, _ = cli("incident", "list", "yard", *where, "--json")
    assert [it["number"] for it in json.loads(out)] == [61]
    _, out, _ = cli("incident", "list", "barn", *where)
    assert out == 'nothing is kept of a failure of "barn"\n'


def test_nothing_is_kept_at_first(cli: Cli, config: str) -> None:
    """Before anything has failed that is what is said, and --json is an empty list."""
    assert cli("incident", "list", "--config", config)[1] == (
        "nothing is kept: no stream has failed\n"
    )
    assert cli("incident", "list", "--config", config, "--json")[1] == "[]\n"


def test_an_incident_is_shown(cli: Cli, where: tuple[str, str]) -> None:
    """What failed stands first; what is long is cut, and where the rest is to be had is said."""
    code, out, err = cli("incident", "show", "46", *where)
    assert code == 0
    assert out.startswith(SHOWN)
    assert "Graphs of its pipelines, with --bundle: source" in out
    assert "Its worker, pid 4712 of epoch 2: it had not ended by then." in out
    assert "no journal at" in err
    _, out, _ = cli("incident", "show", "61", *where)
    assert "Its worker" not in out
    _, out, _ = cli("incident", "show", "46", *where, "--json")
    first, second = json.loads(out)["findings"]
    assert first["files"] == FILES
    _, out, _ = cli("incident", "show", "61", *where)
    assert "What the fork server wrote into its log:\n    Traceback" in out
    assert (second["seq"], second["exit"]) == (52, None)


def test_an_unknown_incident_is_refused(cli: Cli, where: tuple[str, str]) -> None:
    """It is said where the known ones are shown."""
    code, out, err = cli("incident", "show", "47", *where)
    assert (code, out) == (2, "")
    assert "nothing is kept of an incident 47; " in err
    assert "incident list" in err


def test_a_bundle_is_written_once(
    cli: Cli, where: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files go into one; no other file is replaced; a missing program is said."""
    monkeypatch.setenv("PATH", str(tmp_path))
    bundle = tmp_path / "out.tar.gz"
    code, out, err = cli("incident", "show", "46", *where, "--bundle", str(bundle))
    assert (code, out) == (0, f"{bundle}: 7 files\n")
    assert "apt install graphviz" in err
    with tarfile.open(bundle) as archive:
        assert "incident-46/46/threads.txt" in archive.getnames()
    code, _, err = cli("incident", "show", "46", *where, "--bundle", str(bundle))
    assert (code, err.splitlines()[-1]) == (2, f"{bundle} exists already: name a new file")
    code, _, err = cli("incident", "show", "46", *where, "--bundle", str(tmp_path / "no" / "out"))
    assert code == 1
    assert "can't be written: No such file or directory" in err
