"""`install`: what it writes, keeps, refuses and says; and what systemd thinks of the unit."""

import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stream_manager.cli import account, unit
from stream_manager.cli.install import Installation
from stream_manager.config import load
from stream_manager.errors import OutsideError, UsageError

Cli = Callable[..., tuple[int, str, str]]

# Any program will do, but for one among temporary files, where a checkout may lie.
PROGRAM = Path("/usr/bin/true")
# What running for real takes, whoever the service is.
PROMISED = (
    *("Type=notify", "NotifyAccess=main", "WatchdogSec=30", "KillMode=process"),
    *("KillSignal=SIGUSR2", "OOMPolicy=continue", "RuntimeDirectory=stream-manager"),
    *("RuntimeDirectoryPreserve=yes", "UMask=0077", "ExecReload=/bin/kill -HUP $MAINPID"),
    *(
        "Restart=always",
        "RestartPreventExitStatus=0",
        "RestartSec=2",
        "LimitNOFILE=65536",
        "NoNewPrivileges=yes",
    ),
)


class Recorder(account.Account):
    """The service's user, played: it can do everything that is not in `cannot`."""

    def __init__(self, *cannot: str) -> None:
        self.cannot = cannot
        self.owns: list[Path] = []

    def make(self) -> str:
        """Make nobody."""
        return "made the user"

    def can(self, *command: str | Path) -> bool:
        """Answer as told."""
        return not any(it in " ".join(map(str, command)) for it in self.cannot)

    def own(self, path: Path) -> None:
        """Remember what it was given."""
        self.owns.append(path)

    def may_read(self, path: Path) -> None:
        """Remember too."""
        self.owns.append(path)


@pytest.fixture(autouse=True)
def _program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_manager.cli.install._program", lambda: PROGRAM)
    monkeypatch.setattr("stream_manager.cli.install.__file__", str(PROGRAM))
    monkeypatch.setattr("sys.prefix", str(PROGRAM.parents[1]))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be a user with an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{PROGRAM.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> unit.Scope:
    """Be a machine of which nothing is real; its places lie where temporary files do."""
    monkeypatch.setattr(unit, "_TEMPORARY", ())
    return unit.Scope(
        system=True,
        unit=tmp_path / "systemd/stream-manager.service",
        config_dir=tmp_path / "etc",
        state_dir=tmp_path / "lib",
        recordings=tmp_path / "lib/recordings",
        runtime_dir=tmp_path / "run",
    )


def system(
    machine: unit.Scope, account: account.Account, config: Path | None = None
) -> Installation:
    """Prepare an installation for the machine."""
    return Installation(machine, account=account, program=PROGRAM, config=config)


def configured(machine: unit.Scope, volume: Path, **manager: Path) -> Path:
    """Write a configuration with one volume and a camera whose password nobody here knows."""
    path = machine.unit.parents[1] / "own.toml"
    keys = {"state_dir": machine.state_dir, "runtime_dir": machine.runtime_dir, **manager}
    lines = [
        *("[manager]", *(f'{key} = "{value}"' for key, value in keys.items())),
        *("[[volumes]]", 'id = "main"', f'path = "{volume}"'),
        *("[[streams]]", 'id = "cam"', 'source = "rtsp://x:${NOT_HERE}@h/"'),
        'record = { volumes = ["main"] }',
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def text(scope: unit.Scope, **places: Path) -> str:
    """Return a unit's text for these places."""
    program, config = places.get("program", PROGRAM), places.get("config", Path("/etc/c.toml"))
    return unit.unit(
        scope, program=program, config=config, written=[places.get("volume", Path("/v"))], seen=[]
    )


def test_root_is_asked_for_by_the_whole_command(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sudo finds no program in the user's own PATH, and the configuration is meant to stay."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(unit, "_TEMPORARY", ())
    config = home / "my cameras.toml"
    config.write_text('[manager]\nruntime_dir = "/run/stream-manager"\n')
    _, _, err = cli("install", "--system", "--config", str(config))
    assert f"(sudo {PROGRAM} install --system --config '{config}')" in err


def test_a_users_first_installation(cli: Cli, home: Path) -> None:
    """One command writes a unit, a configuration that loads and a place for secrets, all told."""
    code, out, err = cli("install", "--user")
    assert (code, err) == (0, "")
    written = home / ".config/systemd/user/stream-manager.service"
    config = home / ".config/stream-manager/cameras.toml"
    secrets = home / ".config/stream-manager/secrets.env"
    for path in (written, config, secrets):
        assert f"wrote {path}" in out
    assert "systemctl --user enable --now stream-manager" in out
    lines = written.read_text().splitlines()
    assert [line for line in PROMISED if line not in lines] == []
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert start.endswith(f"{PROGRAM} run {config}")
    assert start.startswith("ExecStart=/")
    assert f"EnvironmentFile=-{secrets}" in lines
    assert {stat.S_IMODE(path.stat().st_mode) for path in (config, secrets)} == {0o600}
    assert stat.S_IMODE(written.stat().st_mode) == 0o644
    configuration = load(config, os.environ)
    assert configuration.manager.state_dir == home / ".local/state/stream-manager"
    assert [volume.path for volume in configuration.volumes] == [home / "Videos/stream-manager"]


def test_a_second_installation_keeps_what_is_there(cli: Cli, home: Path) -> None:
    """Cameras and passwords of the user stay as they are, and so does an unchanged unit."""
    cli("install", "--user")
    config = home / ".config/stream-manager/cameras.toml"
    secrets = home / ".config/stream-manager/secrets.env"
    config.write_text(config.read_text() + '[[streams]]\nid = "cam"\nsource = "test:"\n')
    secrets.write_text("CAM_PASSWORD='x'\n")
    before = config.read_text(), secrets.read_text()
    code, out, _ = cli("install", "--user")
    assert code == 0
    assert out.startswith(f"kept {home}/.config/systemd/user/stream-manager.service\n")
    assert (config.read_text(), secrets.read_text()) == before
    assert "restart" not in out


def test_a_unit_of_ours_is_renewed_and_one_of_others_left_alone(cli: Cli, home: Path) -> None:
    """A marker in the first line tells them apart; a refusal changes nothing and says the mend."""
    written = home / ".config/systemd/user/stream-manager.service"
    written.parent.mkdir(parents=True)
    written.write_text("[Service]\nExecStart=/usr/local/bin/mine\n")
    code, out, err = cli("install", "--user")
    assert (code, out) == (2, "")
    assert f"mv {written} {written}.old" in err
    assert written.read_text() == "[Service]\nExecStart=/usr/local/bin/mine\n"
    assert not (home / ".config/stream-manager").exists()
    written.write_text(f"{unit.MARKER} --user\n[Service]\n")
    code, out, _ = cli("install", "--user")
    assert code == 0
    assert f"wrote anew {written}" in out
    assert "systemctl --user restart stream-manager" in out
    assert "Type=notify" in written.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --user or --system"),
        (("--user", "--system"), "one of the two"),
        (("--system",), "run it as root (sudo "),
        (("--user", "--config", "nowhere.toml"), "nowhere.toml: found No such file"),
        (("--system", "--print", "--config", "nowhere.toml"), "nowhere.toml: found No such file"),
    ],
)
def test_misuse_changes_nothing(
    cli: Cli,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """Exit code 2, the reason, and no file anywhere."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, out, err = cli("install", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("kind", ["--user", "--system"])
def test_print_shows_the_unit_alone(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nobody needs to be root to see it, and nothing is written."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, out, err = cli("install", kind, "--print")
    assert (code, err) == (0, "")
    assert out.startswith(f"{unit.MARKER} {kind}\n")
    assert list(home.iterdir()) == []


def test_the_machines_first_installation(machine: unit.Scope) -> None:
    """The configuration is the service's to read, the secrets are root's alone."""
    user = Recorder()
    lines = system(machine, user).carry_out()
    assert lines[:4] == [
        "made the user",
        f"wrote {machine.config}, without cameras yet",
        f"wrote {machine.secrets}, for passwords",
        f"wrote {machine.unit}",
    ]
    assert "  systemctl enable --now stream-manager" in lines
    assert user.owns == [machine.config]
    assert stat.S_IMODE(machine.secrets.stat().st_mode) == 0o600
    written = machine.unit.read_text().splitlines()
    wanted = (
        *("User=stream-manager", "SupplementaryGroups=video", "StateDirectory=stream-manager"),
        *("ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"),
    )
    assert [line for line in (*PROMISED, *wanted) if line not in written] == []


def test_volumes_elsewhere_are_made_and_opened_to_the_service(
    machine: unit.Scope, tmp_path: Path
) -> None:
    """A password that is not in this environment does not keep the paths from being read."""
    user, volume = Recorder(), tmp_path / "mnt/video"
    installation = system(machine, user, configured(machine, volume))
    assert not volume.exists()
    assert f"ReadWritePaths=-{volume}" in installation.text.splitlines()
    assert f"made {volume}" in installation.carry_out()
    assert user.owns == [volume]
    assert stat.S_IMODE(volume.stat().st_mode) == 0o700
    assert f"made {volume}" not in system(machine, user, configured(machine, volume)).carry_out()


def test_the_commands_that_come_next_can_be_pasted(cli: Cli, home: Path) -> None:
    """Where a path has blanks, too."""
    own = home / "my cameras.toml"
    own.write_text('[[streams]]\nid = "a"\nsource = "test:"\n')
    _, out, _ = cli("install", "--user", "--config", str(own))
    assert shlex.split(out.splitlines()[-1])[-3:] == ["status", "--config", str(own)]


def test_passwords_that_the_service_will_lack_are_named_until_they_are_there(
    machine: unit.Scope, cli: Cli, home: Path
) -> None:
    """A unit that is enabled without them can't start; systemd alone reads the file of secrets."""
    config = configured(machine, machine.recordings)
    config.write_text(
        config.read_text()
        + '[[streams]]\nid = "b"\nsource = "rtsp://${USER_B}:${NOT_HERE}@h/${file:x}"\n'
        + '[[streams]]\nid = "c"\npipeline = "a ! b key=${KEY_C}"\n'
    )
    lacks = "NOT_HERE='…', USER_B='…', KEY_C='…'"
    lines = system(machine, Recorder(), config).carry_out()
    put = f"  put into {machine.secrets} what {config} takes and it lacks: {lacks}"
    assert lines.index(put) < lines.index("  systemctl enable --now stream-manager")
    prepared = machine.secrets.read_text()
    assert f"stands for in {config}, one" in prepared
    assert prepared.endswith("# NOT_HERE='…'\n# USER_B='…'\n# KEY_C='…'\n")
    machine.secrets.write_text("NOT_HERE='x'\n# KEY_C='z'\n USER_B=y\nKEY_C=''\n")
    lines = system(machine, Recorder(), config).carry_out()
    assert put.replace(lacks, "KEY_C='…'") in lines
    assert "  systemctl restart stream-manager" in lines  # which has its variables from its start
    machine.secrets.write_text("NOT_HERE='x'\nUSER_B=y\nKEY_C=z\n")
    lines = system(machine, Recorder(), config).carry_out()
    assert not any("put" in line for line in lines)
    assert "  systemctl restart stream-manager" not in lines
    own = home / "mine.toml"
    own.write_text('[[streams]]\nid = "a"\nsource = "rtsp://a:${CAM_PASSWORD}@h/"\n')
    code, out, _ = cli("install", "--user", "--config", str(own))
    assert code == 0
    assert f"secrets.env what {own} takes and it lacks: CAM_PASSWORD='…'\n" in out
    assert f"for in {own}," in (home / ".config/stream-manager/secrets.env").read_text()


@pytest.mark.parametrize("there", [True, False])
def test_a_machine_without_systemd_is_told_so(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """The unit would never start, as in a container; there is another way."""
    assert home.is_dir()
    monkeypatch.setattr("stream_manager.cli.install.SYSTEMD", home if there else home / "none")
    _, out, _ = cli("install", "--user")
    assert ("systemd does not run here" in out) is not there
    assert ("see Containers in docs/operations.md" in out) is not there


@pytest.mark.parametrize(
    ("cannot", "words"),
    [
        ("--version", "install the program where every user can reach it"),
        ("test -r", "chgrp stream-manager"),
        ("test -w", "chown -R stream-manager:"),
    ],
)
def test_what_the_services_user_can_not_do_is_found_before_it_starts(
    machine: unit.Scope, tmp_path: Path, cannot: str, words: str
) -> None:
    """It is said with its mend, and no unit is written."""
    volume = tmp_path / "video"
    volume.mkdir()
    with pytest.raises(UsageError, match=words):
        system(machine, Recorder(cannot), configured(machine, volume)).carry_out()
    assert not machine.unit.exists()


def test_sockets_must_be_where_systemd_makes_their_place(
    machine: unit.Scope, tmp_path: Path
) -> None:
    """A directory that the service could not write is refused, with the one that it can."""
    config = configured(machine, tmp_path / "video", runtime_dir=tmp_path / "elsewhere")
    with pytest.raises(
        UsageError, match=f"toml:3: manager.*expected {machine.runtime_dir}.*: remove the key"
    ):
        system(machine, Recorder(), config)


def test_state_elsewhere_must_be_the_users_own(machine: unit.Scope, tmp_path: Path) -> None:
    """The manager takes no directory that another user rules, however open it is."""
    (tmp_path / "state").mkdir()
    config = configured(machine, machine.recordings, state_dir=tmp_path / "state")
    with pytest.raises(UsageError, match="state is not the user stream-manager's"):
        system(machine, Recorder("test -O"), config).carry_out()


def test_a_full_disk_is_told(machine: unit.Scope) -> None:
    """What can't be written is named."""
    machine.unit.parents[1].joinpath("systemd").write_text("")
    with pytest.raises(OutsideError, match=r"systemd.* can't be"):
        system(machine, Recorder()).carry_out()


def test_homes_are_seen_only_where_something_lies_there() -> None:
    """The unit hides /home unless a volume or the program itself is in it."""
    scope = unit.Scope.of_system()
    assert "ProtectHome=yes" in text(scope)
    for places in (
        {"volume": Path("/home/me/video")},
        {"program": Path("/home/me/bin/stream-manager")},
        {"config": Path("/root/c.toml")},
    ):
        assert "ProtectHome=read-only" in text(scope, **places)


@pytest.mark.parametrize("place", ["/tmp/video", "/var/tmp/video"])
def test_a_place_that_the_service_would_not_see_is_refused(place: str) -> None:
    """It has a /tmp of its own: what is recorded there would be gone."""
    with pytest.raises(UsageError, match=f"{place} is in a directory for temporary files"):
        text(unit.Scope.of_system(), volume=Path(place))


def test_paths_stand_in_a_unit_as_they_are() -> None:
    """Spaces and percent signs are kept from systemd's own meaning; quotes are refused."""
    scope = unit.Scope.of_system()
    assert 'ReadWritePaths="-/mnt/my video"' in text(scope, volume=Path("/mnt/my video"))
    assert "ReadWritePaths=-/mnt/100%%" in text(scope, volume=Path("/mnt/100%"))
    for name in ('/mnt/"', "/mnt/a\nb", "/mnt/$HOME", "/mnt/a\\b"):
        with pytest.raises(UsageError, match="can't stand in a unit"):
            text(scope, volume=Path(name))


def test_a_users_unit_says_how_a_user_changes_it() -> None:
    """A unit of the system of the same name is another one."""
    user = text(unit.Scope.of_user(Path("/home/me"), Path("/run/user/1000")))
    assert "Your own changes: systemctl --user edit stream-manager\n" in user
    system = text(unit.Scope.of_system())
    assert "Your own changes: systemctl edit stream-manager\n" in system


def test_a_program_that_fails_hangs_or_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it said, how long it was waited for, or the package that brings it."""
    with pytest.raises(OutsideError, match=r"failed: .*nowhere"):
        account._done("/bin/cat", "/nowhere")
    with pytest.raises(OutsideError, match="failed: the process ended with exit code 1"):
        account._done("/bin/false")
    for name, package in (("useradd", "passwd"), ("runuser", "util-linux")):
        with pytest.raises(OutsideError, match=f"{name} is not there: apt-get install {package}"):
            account._run(f"/nowhere/{name}")
    with pytest.raises(OutsideError, match="/etc/passwd can't be run: Permission denied"):
        account._run("/etc/passwd")
    monkeypatch.setattr(account, "ANSWER_WITHIN_S", 0.1)
    with pytest.raises(OutsideError, match=r"/bin/sleep 60 did not end within 0\.1 s"):
        account._run("/bin/sleep", "60")


@pytest.mark.parametrize(
    ("code", "said", "can"),
    [
        (0, "", True),
        (1, "", False),
        (1, "program: no such option", False),
        (126, "runuser: failed to execute /root/x: Permission denied", False),
        (127, "runuser: failed to execute /x: No such file or directory", False),
        (1, "runuser: failed to execute /root/x: Permission denied", False),
        (1, "runuser: user stream-manager does not exist", None),
    ],
)
def test_what_a_user_can_not_do_is_told_from_a_runuser_that_fails(
    monkeypatch: pytest.MonkeyPatch, code: int, said: str, *, can: bool | None
) -> None:
    """None: nobody can tell, and the reason is said."""
    ended = subprocess.CompletedProcess((), code, "", said)
    monkeypatch.setattr(account, "_run", lambda *_: ended)
    if can is None:
        with pytest.raises(OutsideError, match="does not exist"):
            account.Account().can("test", "-r", "/x")
    else:
        assert account.Account().can("test", "-r", "/x") is can


def test_a_machine_without_the_group_is_told_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is made before."""
    monkeypatch.setattr(account, "GROUP", "no-such-group")
    monkeypatch.setattr(account, "_run", lambda *_: pytest.fail("nothing may be run"))
    with pytest.raises(OutsideError, match="no group no-such-group: groupadd --system"):
        account.Account().make()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="takes systemd-analyze")
@pytest.mark.parametrize("kind", ["--user", "--system"])
def test_systemd_finds_nothing_wrong_with_the_unit(cli: Cli, home: Path, kind: str) -> None:
    """Every key is one that it knows, with a value that it takes."""
    path = home / "stream-manager.service"
    path.write_text(cli("install", kind, "--print")[1])
    (home / "runtime").mkdir()
    checked = subprocess.run(
        ["systemd-analyze", kind, "verify", path], capture_output=True, text=True, check=True
    )
    assert checked.stderr == ""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="takes systemd-analyze")
def test_systemd_finds_the_unit_well_protected(cli: Cli, home: Path) -> None:
    """Its own exposure level stays below 2.5 of 10."""
    path = home / "stream-manager.service"
    path.write_text(cli("install", "--system", "--print")[1])
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(path)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
