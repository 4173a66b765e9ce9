"""`probe` and `doctor` as people and programs read them, the machine's part in it played."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.probe.test_probe_report import SOUND, VIDEO

from stream_manager import doctor, probe
from stream_manager.doctor.finding import Finding, ok, problem, unknown, warning
from stream_manager.pipelines.findings import Findings, Look
from stream_manager.pipelines.scrubbing import scrub
from stream_manager.pipelines.spec import RtspSource
from stream_manager.recovery import Fault

Cli = Callable[..., tuple[int, str, str]]
FOUND = Findings(seconds=3.0, tracks=(SOUND, VIDEO))
REFUSED = Fault(
    origin="rtspsrc",
    code="gst-resource-error:15",
    status=401,
    text="Unauthorized \x1b[31m(Unauthorized (401))",
)


class Asked:
    """Answers in the probing process's place, and remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: Findings | Fault = FOUND
        self.orders: list[Look] = []
        self.titles: list[str] = []
        monkeypatch.setattr(probe, "look", self._look)
        monkeypatch.setattr("setproctitle.setproctitle", self.titles.append)

    def _look(self, order: Look) -> Findings | Fault:
        self.orders.append(order)
        return self.answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Keep every source from being played."""
    return Asked(monkeypatch)


def test_the_options_reach_the_source(cli: Cli, asked: Asked) -> None:
    """For how long, and how RTSP carries media."""
    assert cli("probe", "rtsp://cam/x", "--transport", "udp", "--seconds", "5")[0] == 0
    (order,) = asked.orders
    assert order.seconds == 5
    assert order.source == RtspSource(url="rtsp://cam/x", transport="udp")


def test_a_password_in_the_open_is_warned_of_and_hidden(cli: Cli, asked: Asked) -> None:
    """It leaves what ps shows, stands in no output, and the better way is told."""
    code, out, err = cli("probe", "rtsp://viewer:open-s3cret@cam/door")
    assert code == 0
    assert asked.titles == ["stream-manager probe rtsp://viewer:${CAM_PASSWORD}@cam/door"]
    assert "warning: the password stood in the command line" in err
    assert "stream-manager probe 'rtsp://viewer:${CAM_PASSWORD}@cam/door'" in err
    assert "open-s3cret" not in out + err
    (order,) = asked.orders
    assert isinstance(order.source, RtspSource)
    assert order.source.password == "open-s3cret"


def test_no_part_of_a_password_in_a_path_is_shown(cli: Cli, asked: Asked) -> None:
    """Whatever separators it holds; also where the camera repeats it, as a worker's text may."""
    url = "rtsp://cam/it's/user=admin_password=Se_c=ret_channel=1"
    _, out, err = cli("probe", url)
    (order,) = asked.orders
    said = scrub(f"could not open {url}", order.secrets)
    asked.answer = replace(REFUSED, text=said)
    _, failed_out, failed_err = cli("probe", url)
    for text in (out, err, failed_out, failed_err, said, *asked.titles):
        assert not any(part in text for part in ("Se_", "c=ret", "Se_c"))
    _, _, pasted = err.strip().partition("then: ")
    assert shlex.split(pasted)[2] == url.replace("Se_c=ret", "${CAM_TOKEN}")


def test_a_placeholder_is_not_warned_of(
    cli: Cli, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is read by nobody else."""
    monkeypatch.setenv("CAM_PASSWORD", "open-s3cret")
    code, out, err = cli("probe", "rtsp://viewer:${CAM_PASSWORD}@cam/door")
    assert (code, err, asked.titles) == (0, "", [])
    assert 'source = "rtsp://viewer:${CAM_PASSWORD}@cam/door"' in out
    assert "open-s3cret" not in out


def test_json_has_the_facts_and_the_table(cli: Cli, asked: Asked) -> None:
    """Nothing but JSON is on stdout."""
    code, out, _ = cli("probe", "rtsp://cam/door", "--json")
    answer = json.loads(out)
    assert (code, answer["container"], len(answer["tracks"])) == (0, "ts", 2)
    assert answer["toml"].startswith("[[streams]]\n")
    asked.answer = REFUSED
    code, out, err = cli("probe", "rtsp://cam/door", "--json")
    fault = json.loads(out)["fault"]
    assert (code, err) == (1, "")
    assert (fault["cause"], fault["rule"], fault["status"]) == ("auth", "auth-never-worked", 401)


def test_a_failure_names_source_cause_and_mend(cli: Cli, asked: Asked) -> None:
    """What came from outside is printed without what a terminal would obey."""
    asked.answer = REFUSED
    code, out, err = cli("probe", "rtsp://cam/door")
    assert (code, out) == (1, "")
    assert err == (
        "rtsp://cam/door: auth: the camera asks for a user and a password (RTSP 401)\n"
        "it said: Unauthorized  [31m(Unauthorized (401))\n"
        "mend: write them as rtsp://USER:${CAM_PASSWORD}@HOST/PATH, and export CAM_PASSWORD\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("rtsp://u:${NOPE}@cam/x",),
        ("test:", "--transport", "udp"),
        ("test:", "--transport", "carrier"),
        ("test:", "--seconds", "0"),
    ],
)
def test_misuse_asks_nobody(cli: Cli, asked: Asked, arguments: tuple[str, ...]) -> None:
    """A source that can't be meant is exit code 2."""
    code, out, err = cli("probe", *arguments)
    assert (code, out, asked.orders) == (2, "", [])
    assert err


FINDINGS = (
    ok("GStreamer", "1.22.0"),
    warning("clock", "drifts", "set it"),
    unknown("cgroups", "hidden\x1b", "look"),
)


@pytest.mark.parametrize(
    ("findings", "code"),
    [(FINDINGS, 0), ((*FINDINGS, problem("kernel", "old", "upgrade it")), 1)],
)
def test_doctor_tells_a_line_each_and_fails_for_problems(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, findings: tuple[Finding, ...], code: int
) -> None:
    """Columns for people, each mend below its finding, and the same values as JSON."""
    monkeypatch.setattr(doctor, "diagnose", lambda *_: list(findings))
    ended, out, err = cli("doctor")
    assert (ended, err) == (code, "")
    assert out.splitlines()[:5] == [
        "ok       GStreamer  1.22.0",
        "warning  clock      drifts",
        "                    mend: set it",
        "unknown  cgroups    hidden ",
        "                    mend: look",
    ]
    assert out.endswith(f"1 ok, 1 to be aware of, {code} to be mended, 1 unknown\n")
    ended, out, _ = cli("doctor", "--json")
    told = json.loads(out)
    assert (ended, len(told)) == (code, len(findings))
    assert told[0] == {"check": "GStreamer", "level": "ok", "found": "1.22.0", "mend": None}


def test_doctor_without_its_configuration_is_misuse(cli: Cli) -> None:
    """A file that can't be read is said to be one."""
    code, out, err = cli("doctor", "--config", "nowhere.toml")
    assert (code, out) == (2, "")
    assert "nowhere.toml" in err
