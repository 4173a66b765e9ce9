"""Workers that hang and crash, each in its own way: told apart, replaced, and evidence kept."""

import fcntl
import json
import os
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.held import held
from tests.integration.inside import python_path, run_in
from tests.integration.service import POLL_S, PROGRAM, Json, Service, table

pytestmark = pytest.mark.media

PASSWORD = "s3cr3t/of-a-camera"
TINY = (
    "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=25/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5"
)
ENDLESS = """\
def endless_callback():
    while True:
        pass

endless_callback()
"""
# The buffer that comes next is never let go.
DEADLOCK = """\
import gc, threading
from stream_manager.pipelines.gst import Gst

def never_returns(*_):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

for pipeline in [it for it in gc.get_objects() if isinstance(it, Gst.Pipeline)]:
    if victim := pipeline.get_by_name("victim"):
        victim.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, never_returns)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
EXIT = "import os; os._exit(3)"


class Trouble:
    """A manager whose streams have all been troubled, each once, beside one that was not."""

    def __init__(self, folder: Path) -> None:
        self.path = python_path(folder)
        fifo = folder / "fifo"
        os.mkfifo(fifo)
        self.reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.reader, fcntl.F_SETPIPE_SZ, 4096)  # it is full at once
        self.drains = threading.Event()
        self.drains.set()
        self.service = Service(
            folder,
            *(table(id_, f"{TINY} ! h264parse") for id_ in ("stopped", "endless", "neighbour")),
            *(table(id_, f"{TINY} ! h264parse") for id_ in ("segfault", "abort", "exiting")),
            table("deadlocked", f"{TINY} ! h264parse ! identity name=victim"),
            table(
                "blocked",
                f"{TINY} ! tee name=t ! h264parse t. ! filesink location={fifo} buffer-mode=2"
                " sync=false async=false",
            ),
            table("camera", f"rtsp://user:{PASSWORD.replace('/', '%2F')}@127.0.0.1:9/cam"),
            recovery='verify_for = "200ms"\n',
        )
        self.hurt: dict[str, Json] = {}

    def drain(self) -> None:
        """Read from the FIFO for as long as that is wanted."""
        os.set_blocking(self.reader, True)
        while self.drains.wait():
            if not os.read(self.reader, 65_536):
                time.sleep(POLL_S)  # nobody has it open to write just now

    def all_at_once(self) -> None:
        """Trouble every stream and wait until each is healthy again."""
        ids = ("stopped", "endless", "segfault", "abort", "exiting", "deadlocked", "blocked")
        threading.Thread(target=self.drain, daemon=True).start()
        self.service.start(PYTHONPATH=self.path).wait_healthy("neighbour", *ids)
        self.service.wait_media("blocked", 2)  # its rhythm is known
        self.hurt = {id_: self.service.stream(id_) for id_ in ids}
        os.kill(self.hurt["stopped"]["pid"], signal.SIGSTOP)
        os.kill(self.hurt["segfault"]["pid"], signal.SIGSEGV)
        os.kill(self.hurt["abort"]["pid"], signal.SIGABRT)
        self.drains.clear()
        for id_, code in (("exiting", EXIT), ("deadlocked", DEADLOCK), ("endless", ENDLESS)):
            run_in(self.service, self.hurt[id_]["pid"], code)
        self.service.wait_for("blocked", lambda it: it["epoch"] == 2)
        self.drains.set()
        for id_ in ids:
            self.service.wait_for(id_, lambda it: it["epoch"] == 2 and it["health"] == "healthy")

    def entry(self, id_: str) -> Json:
        """Return the first fault that the journal tells of a stream's process."""
        entries = self.service.journal(id_)
        return next(it for it in entries if it["cause"] is not None and it["component"] == id_)

    def kept(self, number: int) -> dict[str, str]:
        """Return what is kept of an incident, by the names of files, once it is."""
        folder = self.service.state_dir / "incidents" / str(number) / str(number)
        self.service.wait("the evidence", folder.is_dir)
        return {it.name: it.read_text() for it in folder.iterdir()}

    def run(self, *arguments: str) -> str:
        """Return what a command says."""
        where = ("--config", str(self.service.config))
        done = subprocess.run(
            [PROGRAM, "incident", *arguments, *where],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trouble]:
    """Give the troubled streams."""
    made = Trouble(tmp_path_factory.mktemp("svc"))
    try:
        made.all_at_once()
        yield made
    finally:
        made.service.close()


@pytest.mark.parametrize(
    ("id_", "said", "stacks"),
    [
        ("stopped", "said nothing", "no thread of it runs (state T)"),
        ("endless", "said nothing", "in endless_callback"),
        ("deadlocked", "identity (victim) does not let go of a buffer", "in never_returns"),
        ("blocked", "filesink (filesink0) does not let go of a buffer", "pipelines/worker.py"),
    ],
)
def test_error_isolation_of_a_worker_that_hangs(
    trouble: Trouble, id_: str, said: str, stacks: str
) -> None:
    """It is no stalled camera: the process is looked at, killed and replaced; it is said why."""
    entry = trouble.entry(id_)
    assert (entry["rule"], entry["cause"], entry["code"]) == ("hang-once", "hang", "hang")
    assert said in entry["saw"]["text"]
    assert trouble.service.stream(id_)["epoch"] == 2
    files = trouble.kept(entry["seq"])
    facts = json.loads(files["finding.json"])
    assert facts["pid"] == trouble.hurt[id_]["pid"]
    assert facts["exit"] == "it was ended by SIGKILL (Killed), which this manager sent"
    assert stacks in files["stacks.txt"]
    assert f"{facts['pid']}  " in files["threads.txt"]
    assert files["source.dot"].startswith("digraph")
    assert files["record.dot"].startswith("digraph")


def test_error_isolation_shows_which_thread_a_write_holds(trouble: Trouble) -> None:
    """The kernel's word for where a thread waits stands beside its name."""
    threads = trouble.kept(trouble.entry("blocked")["seq"])["threads.txt"]
    (writing,) = [line for line in threads.splitlines() if "pipe_write" in line and " S " in line]
    assert "videotestsrc" in writing


@pytest.mark.parametrize(
    ("id_", "code", "words", "stacks"),
    [
        (
            "segfault",
            "SIGSEGV",
            "it was ended by SIGSEGV (Segmentation fault)",
            "Fatal Python error: Segmentation fault",
        ),
        ("abort", "SIGABRT", "it was ended by SIGABRT (Aborted)", "Fatal Python error: Aborted"),
        ("exiting", "exit:3", "it ended with exit code 3", None),
    ],
)
def test_error_isolation_of_a_worker_that_crashes(
    trouble: Trouble, id_: str, code: str, words: str, stacks: str | None
) -> None:
    """How it ended is told in words, and a crash leaves the stacks of that moment."""
    entry = trouble.entry(id_)
    assert (entry["rule"], entry["cause"], entry["code"]) == ("crash-once", "crash", code)
    files = trouble.kept(entry["seq"])
    facts = json.loads(files["finding.json"])
    assert facts["exit"] == words
    assert files.get("stacks.txt", "").split("\n")[0] == (stacks or "")
    assert f"pid {facts['pid']}," in files["worker.log"].splitlines()[0]
    assert "source.dot" in files


def test_error_isolation_costs_a_neighbour_nothing(trouble: Trouble) -> None:
    """Nothing of all this is even noticed by the stream beside."""
    neighbour = trouble.service.stream("neighbour")
    assert neighbour["restarts_total"] == 0
    assert neighbour["last_fault"] is None
    assert trouble.service.journal("neighbour")[-1]["cause"] is None


def test_evidence_holds_gstreamers_warnings_and_no_password(trouble: Trouble) -> None:
    """What GStreamer said of a camera that is away is kept; its password is not, in any form."""
    found = trouble.service.wait_for("camera", lambda it: it["attempt"] >= 1)
    assert found["last_fault"]["cause"] == "network"
    (first,) = [
        it["seq"] for it in trouble.service.journal("camera") if it["code"] == "ECONNREFUSED"
    ][:1]
    files = trouble.kept(first)
    assert "rtspsrc gstrtspsrc.c" in " ".join(files["worker.log"].split())
    texts = [it.read_bytes() for it in trouble.service.state_dir.glob("incidents/**/*.*")]
    texts += [it.read_bytes() for it in trouble.service.state_dir.glob("logs/*")]
    for form in (PASSWORD, PASSWORD.replace("/", "%2F"), "s3cr3t"):
        assert not any(form.encode() in text for text in texts)


def test_error_isolation_of_a_worker_that_ignores_sigterm(trouble: Trouble) -> None:
    """Asked to end by a command it does nothing, and is killed when its time is over."""
    running, before = trouble.service, trouble.service.stream("exiting")
    run_in(running, before["pid"], DEAF)
    running.command("exiting", "restart")
    running.wait_for(
        "exiting", lambda it: it["epoch"] > before["epoch"] and it["health"] == "healthy"
    )
    assert before["pid"] not in running.pids()
    rules = [it["rule"] for it in running.journal("exiting") if it["component"] == "exiting"]
    assert rules[rules.index("restart-commanded") :].count("gone") == 1


def test_an_incident_is_shown_and_bundled(trouble: Trouble, tmp_path: Path) -> None:
    """One number leads from the journal to everything that is known, and to one file of it."""
    number = trouble.entry("endless")["seq"]
    trouble.kept(number)
    assert f"stream-manager incident show {number}" in " ".join(
        trouble.service.explain("endless")["sentences"]
    )
    shown = trouble.run("show", str(number))
    assert "it was ended by SIGKILL (Killed), which this manager sent" in shown
    assert "in endless_callback" in shown
    assert "[hang-once]" in shown
    path = tmp_path / "out.tar.gz"
    trouble.run("show", str(number), "--bundle", str(path))
    with tarfile.open(path) as archive:
        names = {name.removeprefix(f"incident-{number}/") for name in archive.getnames()}
        assert {it.mode for it in archive} == {0o600}
    assert {"journal.txt", f"{number}/stacks.txt", f"{number}/source.dot"} <= names


def test_error_isolation_of_a_worker_that_no_kill_ends(
    service: Callable[..., Service],
) -> None:
    """It is abandoned for all to see, nothing it does counts, and the stream goes on without it."""
    running = service(table("cam", f"{TINY} ! h264parse")).start()
    running.wait_healthy("cam")
    pid = running.stream("cam")["pid"]
    with held(pid):
        os.kill(pid, signal.SIGSTOP)
        abandoned = running.wait_for(
            "cam", lambda it: it["epoch"] == 2 and it["health"] == "healthy"
        )
        assert abandoned["abandoned"] == [pid]
        assert pid in running.pids()
        rules = [it["rule"] for it in running.journal("cam") if it["component"] == "cam"]
        assert rules.index("hang-once") < rules.index("abandoned")
        assert f"does not let go of process {pid}" in " ".join(running.explain("cam")["sentences"])
    running.wait_for("cam", lambda it: not it["abandoned"])
    assert running.stream("cam")["epoch"] == 2
