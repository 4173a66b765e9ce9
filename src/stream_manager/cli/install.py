"""`stream-manager install`: writes the systemd unit, and says what it did and what comes next."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_manager.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from stream_manager.cli.account import Account
    from stream_manager.cli.unit import Scope

SYSTEMD = Path("/run/systemd/system")  # there if systemd runs the machine: sd_booted(3)


def install(
    *,
    for_user: Annotated[bool, typer.Option("--user", help="For you, in your home.")] = False,
    for_system: Annotated[
        bool, typer.Option("--system", help="For the machine, with a user of its own; needs root.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="The configuration; made when it is not named.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the unit and change nothing.")
    ] = False,
) -> None:
    """Write a systemd unit that runs the streams of CONFIG.

    What is there already is kept, but a unit of ours is written anew. Nothing is started.
    """
    from stream_manager.cli.account import Account
    from stream_manager.cli.unit import Scope
    from stream_manager.config import default_runtime_dir

    if for_user == for_system:
        raise UsageError("give --user or --system, one of the two")
    if for_system:
        scope = Scope.of_system()
    else:
        scope = Scope.of_user(Path.home(), default_runtime_dir(os.environ))
    installation = Installation(
        scope, account=Account() if for_system else None, program=_program(), config=config
    )
    if show:
        typer.echo(installation.text, nl=False)
        return
    if for_system and os.geteuid() != 0:
        named = "" if config is None else f" --config {shlex.quote(str(config))}"
        raise UsageError(
            "--system writes into /etc and makes a user: run it as root"
            f" (sudo {shlex.quote(str(_program()))} install --system{named})"
        )
    for line in installation.carry_out():
        typer.echo(line)


class Installation:
    """What will be written where. Made without changing anything; raises UsageError.

    account: the service's own user; None where the service is its caller's.
    """

    def __init__(
        self, scope: "Scope", *, account: "Account | None", program: Path, config: Path | None
    ) -> None:
        self._scope = scope
        self._account = account
        self._program = program
        self._config = scope.config if config is None else config.absolute()
        self._first = config is None and not self._config.exists()
        self._written = self._outside()
        self._variables: tuple[str, ...] = ()
        if not self._first:
            from stream_manager.config import load_variables

            self._variables = load_variables(self._config)
        from stream_manager.cli.unit import unit

        self.text = unit(
            scope,
            program=program,
            config=self._config,
            written=list(self._written),
            # Where the program's own files are.
            seen=[Path(sys.prefix), Path(sys.base_prefix), Path(__file__)],
        )

    def carry_out(self) -> list[str]:
        """Write everything; return what was done, and what is to do. Raises OutsideError."""
        before = self._unit_before()
        try:
            done = [*self._as_user(), *self._files()]
            self._scope.unit.parent.mkdir(parents=True, exist_ok=True)
            self._scope.unit.write_text(self.text, encoding="utf-8")
            self._scope.unit.chmod(0o644)
        except OSError as error:
            raise OutsideError(f"{error.filename} can't be written: {error.strerror}") from error
        verb = {"": "wrote", self.text: "kept"}.get(before, "wrote anew")
        return [*done, f"{verb} {self._scope.unit}", *_absence(), *self._next(before)]

    def _outside(self) -> dict[Path, str]:
        """Return what is written outside the service's own directories, and how to test(1) it."""
        scope = self._scope
        if self._first:
            return {}
        from stream_manager.config import load_directories

        # What systemd tells the service.
        environ = {"RUNTIME_DIRECTORY": str(scope.runtime_dir)}
        manager, volumes = load_directories(self._config, environ)
        if not scope.system:
            return {}
        if manager.runtime_dir != scope.runtime_dir:
            from stream_manager.config import place_of

            raise UsageError(
                f"{place_of(self._config, 'manager', 'runtime_dir')}: manager.runtime_dir: found"
                f" {manager.runtime_dir}, expected {scope.runtime_dir}, which systemd makes for it:"
                " remove the key"
            )
        # State must be the user's own, for the manager takes no directory that others rule.
        written = {volume.path: "-w" for volume in volumes} | {manager.state_dir: "-O"}
        return {
            path: how for path, how in written.items() if not path.is_relative_to(scope.state_dir)
        }

    def _unit_before(self) -> str:
        from stream_manager.cli.unit import MARKER

        unit = self._scope.unit
        try:
            before = unit.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise OutsideError(f"{unit} can't be read: {error.strerror}") from error
        if not before.startswith(MARKER):
            raise UsageError(
                f"{unit} was not written by this command and is left alone: move it away"
                f" (mv {unit} {unit}.old) and try again"
            )
        return before

    def _as_user(self) -> list[str]:
        """Make the service's user, and prove that it can do what it must."""
        account = self._account
        if account is None:
            return []
        done = [account.make()]
        if not account.can(self._program, "--version"):
            raise UsageError(
                f"the user stream-manager can't run {self._program}: install the program where"
                " every user can reach it, like /opt/stream-manager, and run install from there"
            )
        if not self._first and not account.can("test", "-r", self._config):
            named = shlex.quote(str(self._config))
            raise UsageError(
                f"the user stream-manager can't read {self._config}:"
                f" chgrp stream-manager {named} && chmod 640 {named}"
            )
        return done + self._directories(account)

    def _files(self) -> list[str]:
        from stream_manager.cli.unit import first_config, first_secrets

        scope, account = self._scope, self._account
        done = []
        if not scope.config_dir.is_dir():
            scope.config_dir.mkdir(parents=True)
            scope.config_dir.chmod(0o755)
        if self._first:
            _create(self._config, first_config(scope))
            if account is not None:
                account.may_read(self._config)
            done.append(f"wrote {self._config}, without cameras yet")
        if not scope.secrets.exists():
            _create(scope.secrets, first_secrets(scope, self._config, self._variables))
            done.append(f"wrote {scope.secrets}, for passwords")
        return done

    def _directories(self, account: "Account") -> list[str]:
        """Make what is missing; raises UsageError where the service may not write."""
        done = []
        for path, how in self._written.items():
            if not path.exists():
                path.mkdir(mode=0o700, parents=True)
                account.own(path)
                done.append(f"made {path}")
            elif not account.can("test", how, path):
                raise UsageError(
                    f"{path} is not the user stream-manager's to write:"
                    f" chown -R stream-manager: {shlex.quote(str(path))},"
                    f" or name another one in {self._config}"
                )
        return done

    def _next(self, before: str) -> list[str]:
        system = self._scope.system
        control = "systemctl" if system else "systemctl --user"
        journal = "journalctl --unit" if system else "journalctl --user-unit"
        changed = before not in ("", self.text)
        if self._lacking() and before:
            changed = True  # one that runs already has none of the variables that are put in now
        return [
            "next:",
            *([f"  put your cameras into {self._config}"] if self._first else []),
            *self._secrets_lacking(),
            f"  {control} daemon-reload",
            f"  {control} enable --now stream-manager",
            *([f"  {control} restart stream-manager"] if changed else []),
            *([] if system else ["  loginctl enable-linger    # it also runs when you are away"]),
            "then:",
            f"  {control} status stream-manager",
            f"  {journal} stream-manager --follow",
            f"  {shlex.join([str(self._program), 'status', '--config', str(self._config)])}",
        ]

    def _lacking(self) -> list[str]:
        """Return the variables that the configuration takes and the file of secrets has not."""
        from stream_manager.cli.unit import names_in

        try:
            has = names_in(self._scope.secrets.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            raise OutsideError(f"{error.filename} can't be read: {error.strerror}") from error
        return [name for name in self._variables if name not in has]

    def _secrets_lacking(self) -> list[str]:
        if self._first:
            return [f"  put your passwords into {self._scope.secrets}"]
        lacking = self._lacking()
        if not lacking:
            return []
        lines = ", ".join(f"{name}='…'" for name in lacking)
        return [f"  put into {self._scope.secrets} what {self._config} takes and it lacks: {lines}"]


def _absence() -> list[str]:
    """Say that there is no systemd that could start the unit, if so."""
    if SYSTEMD.is_dir():
        return []
    return [
        "systemd does not run here, and will not start this: see Containers in docs/operations.md"
    ]


def _program() -> Path:
    """Return the program as a unit can name it: absolute, wherever it was called from."""
    found = shutil.which(sys.argv[0]) or shutil.which("stream-manager")
    if found is None:
        raise UsageError(
            f"{sys.argv[0]} is no program that systemd could start: call stream-manager itself"
        )
    return Path(found).absolute()


def _create(path: Path, text: str) -> None:
    """Write a new file that nobody else can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
