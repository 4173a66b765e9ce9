"""`stream-manager simulate`: what it prints, and what it refuses before it begins."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]
SMALL = ("simulate", "--scenario", "site-outage", "--components", "20")


@pytest.fixture
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no simulation begin: what is refused is refused before."""

    def begun(*_: object, **__: object) -> None:
        pytest.fail("it began")

    monkeypatch.setattr("stream_manager.lab.storm.simulation.simulate", begun)


def test_a_table_for_people(cli: Cli) -> None:
    """The policy has its row, and the titles are explained."""
    code, out, err = cli(*SMALL)
    assert (code, err) == (0, "")
    assert "site-outage, 20 components, seed 1" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("ours")] == ["ours"]
    assert "fixed 5 s" not in out
    assert "FALSE GIVE-UPS" in out


def test_nothing_but_json(cli: Cli) -> None:
    """With --json stdout is one document, with each figure of each policy."""
    code, out, err = cli(*SMALL, "--seed", "7", "--compare", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["scenario"], told["components"], told["seed"]) == ("site-outage", 20, 7)
    assert told["virtual_s"] == 3600
    assert [it["name"] for it in told["policies"]] == [
        "fixed 5 s",
        "exponential",
        "full jitter",
        "ours",
    ]
    for it in told["policies"]:
        assert it["attempts"] >= 20
        assert 0 < it["recovery_p50_s"] <= it["recovery_p99_s"] < 12
        assert it["recovery_p99_s"] - it["media_p99_s"] == pytest.approx(it["verify_for_s"])
        assert (it["not_recovered"], it["false_give_ups"]) == (0, 0)


def test_nobody_to_recover_is_null(cli: Cli) -> None:
    """The one component of a crash-loop crashes for ever: no recovery can be told of."""
    arguments = ("simulate", "--scenario", "crash-loop", "--components", "1")
    [ours] = json.loads(cli(*arguments, "--json")[1])["policies"]
    assert (ours["recovery_p50_s"], ours["recovery_p99_s"]) == (None, None)
    row = next(line for line in cli(*arguments)[1].splitlines() if line.startswith("ours"))
    assert row.split()[3:] == ["-", "-", "-", "0", "0"]


def test_the_same_in_every_process() -> None:
    """A seed gives the same output in processes that hash strings differently."""
    command = (sys.executable, "-c", "from stream_manager.cli import main; main()")
    outputs = [
        subprocess.run(
            [*command, *SMALL, "--compare", "--json"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]


def test_a_plot_compares(cli: Cli, tmp_path: Path) -> None:
    """--plot draws all policies, and so they are all told of."""
    file = tmp_path / "out.png"
    code, out, _ = cli(*SMALL, "--plot", str(file))
    assert code == 0
    assert file.read_bytes().startswith(b"\x89PNG\r\n")
    assert "full jitter" in out


@pytest.mark.parametrize("text", ['backoff = { base = "2s", cap = "4s" }\nverify_for = "1s"', ""])
@pytest.mark.parametrize("header", ["", "[recovery]\n"], ids=["top", "table"])
def test_a_policy_from_a_file(cli: Cli, tmp_path: Path, header: str, text: str) -> None:
    """The keys of [recovery] stand in that table or at the top; what is not set has its default."""
    file = tmp_path / "policy.toml"
    file.write_text(header + text)
    code, out, _ = cli(*SMALL, "--policy", str(file), "--json")
    assert code == 0
    [ours] = json.loads(out)["policies"]
    expected = (2.0, 4.0) if text else (0.5, 30.0)
    assert (ours["backoff"]["base_s"], ours["backoff"]["cap_s"]) == expected
    assert ours["recovery_p50_s"] > 1  # the proof alone takes a second now


def test_a_whole_configuration_will_do(cli: Cli, tmp_path: Path) -> None:
    """Of a file with [recovery] nothing else is read, not even what is wrong there."""
    file = tmp_path / "cameras.toml"
    file.write_text('[manager]\nnonsense = 1\n[recovery]\nbackoff = { base = "3s" }\n')
    code, out, _ = cli(*SMALL, "--policy", str(file), "--json")
    assert code == 0
    assert json.loads(out)["policies"][0]["backoff"]["base_s"] == 3.0


def test_an_odd_policy_is_told(cli: Cli, tmp_path: Path) -> None:
    """A warning goes to stderr and stops nothing."""
    file = tmp_path / "policy.toml"
    file.write_text('stable_for = "5s"\n')
    code, out, err = cli(*SMALL, "--policy", str(file), "--json")
    assert code == 0
    assert json.loads(out)
    assert f"{file}:1: stable_for: found stable_for of 5s" in err


@pytest.mark.usefixtures("no_simulation")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('backoff = { base = "5s", cap = "1s" }', ":1: backoff.cap: found a cap of 1s below"),
        ('[recovery]\nverify_for = "-1s"', ':2: recovery.verify_for: found "-1s"'),
        ("stable = 5", ':1: stable: found an unknown key, expected "stable_for"'),
        ("recovery = 5", ":1: recovery: found 5, expected a table"),
        ("backoff = {", ":1: found a syntax error"),
    ],
)
def test_an_impossible_policy(cli: Cli, tmp_path: Path, text: str, told: str) -> None:
    """It is refused with file, line and key, as `check` does, before anything is played."""
    file = tmp_path / "policy.toml"
    file.write_text(text)
    code, out, err = cli(*SMALL, "--policy", str(file))
    assert (code, out) == (2, "")
    assert f"{file}{told}" in err


@pytest.mark.usefixtures("no_simulation")
def test_a_missing_policy(cli: Cli, tmp_path: Path) -> None:
    """A file that is not there is named."""
    code, _, err = cli(*SMALL, "--policy", str(tmp_path / "none.toml"))
    assert code == 2
    assert "none.toml: found No such file or directory" in err


@pytest.mark.usefixtures("no_simulation")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--scenario", "site-outage", "--components", "0"), "Invalid value for '--components'"),
        (("--scenario", "site-outage", "--components", "-5"), "Invalid value for '--components'"),
        (("--scenario", "site-outage", "--components", "1e6"), "Invalid value for '--components'"),
        (("--scenario", "site-outage", "--seed", "x"), "Invalid value for '--seed'"),
        (("--scenario", "earthquake"), "is not one of 'site-outage', 'rolling-reboot'"),
        ((), "Missing option '--scenario'"),
    ],
)
def test_impossible_values(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    """What can't be played is refused as misuse; the message names the option."""
    code, out, err = cli("simulate", *arguments)
    assert (code, out) == (2, "")
    assert told in " ".join(err.split())


@pytest.mark.usefixtures("no_simulation")
@pytest.mark.parametrize(
    ("plot", "told"),
    [
        ("missing/out.png", "missing/out.png can't be written: No such file or directory"),
        ("folder.png", "folder.png can't be written: Is a directory"),
        ("out.svg", "expected a name that ends in .png"),
    ],
)
def test_a_plot_that_can_not_be(cli: Cli, tmp_path: Path, plot: str, told: str) -> None:
    """Where the picture can't be written, that is said before the simulation and not after."""
    (tmp_path / "folder.png").mkdir()
    code, out, err = cli(*SMALL, "--plot", str(tmp_path / plot))
    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.usefixtures("no_simulation")
def test_without_matplotlib(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one library that only the plot needs is named with the command that brings it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "stream_manager.cli.simulate.find_spec",
        lambda name: None if name == "matplotlib" else find(name),
    )
    file = tmp_path / "out.png"
    code, out, err = cli(*SMALL, "--plot", str(file))
    assert (code, out) == (1, "")
    assert "pip install 'stream-manager[plot]'" in err
    assert not file.exists()


def test_a_picture_that_was_there_stays_until_the_new_one(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up during the run costs the picture and is told."""
    file = tmp_path / "out.png"
    file.write_bytes(b"old")

    def full(*_: object) -> None:
        assert file.read_bytes() == b"old"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stream_manager.lab.storm.picture.draw", full)
    code, out, err = cli(*SMALL, "--plot", str(file))
    assert (code, out) == (1, "")
    assert "could not be written: No space left on device" in err
