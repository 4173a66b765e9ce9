"""How commands reach the running manager."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_manager.cli.typed import pasteable, program
from stream_manager.errors import OutsideError, UsageError

if TYPE_CHECKING:  # 70 ms that --version and --help need not wait for
    import httpx

    from stream_manager.config import ManagerSettings

ANSWER_WITHIN_S = 5.0

StreamArgument = Annotated[str, typer.Argument(metavar="STREAM")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="The manager's configuration; only [manager] is read."),
]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="The manager's address, like http://127.0.0.1:8080.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


class NoManager(OutsideError):  # noqa: N818 - the name says what is so
    """Nobody answers where a manager should."""


class Client:
    """A connection to the manager's API. Each call raises an error whose text is for the user."""

    def __init__(
        self,
        http: "httpx.Client",
        base_url: str,
        *,
        place: str,
        mend: str,
        pasteable: Callable[[str], str],
    ) -> None:
        self._http = http
        self._base_url = base_url
        self._place = place
        self._mend = mend
        self._pasteable = pasteable

    def get(
        self,
        path: str,
        *,
        wait_s: float = 0.0,
        within_s: float = ANSWER_WITHIN_S,
        **query: str | int | None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON at `path`, within `within_s`; with `wait_s`, that much later."""
        given = {name: value for name, value in query.items() if value is not None}
        if wait_s:
            given["wait_s"] = str(wait_s)
        return self._ask("GET", path, given, within_s + wait_s)

    def post(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Give a command; return what the manager says to it."""
        return self._ask("POST", path, {}, ANSWER_WITHIN_S)

    def _ask(self, method: str, path: str, query: dict[str, Any], within_s: float) -> Any:  # noqa: ANN401 - JSON
        import httpx

        try:
            answer = self._http.request(
                method, f"{self._base_url}/api/v1/{path}", params=query, timeout=within_s
            )
            body = answer.json()
        except httpx.TimeoutException as error:
            raise OutsideError(
                f"the manager at {self._place} gave no answer within {within_s:g} s;"
                " look into its log"
            ) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise UsageError(
                f"{self._place} is no address of a manager; one looks like http://127.0.0.1:8080"
            ) from error
        except httpx.TransportError as error:
            raise NoManager(f"no manager answers at {self._place}; {self._mend}") from error
        except ValueError as error:
            raise OutsideError(f"what answers at {self._place} is no stream-manager") from error
        if answer.is_success:
            return body
        detail = body.get("detail", body) if isinstance(body, dict) else body
        if answer.is_client_error:
            raise UsageError(self._pasteable(str(detail)))
        raise OutsideError(f"the manager at {self._place} failed: {detail}")


@contextmanager
def connect(config: Path | None, url: str | None) -> Iterator[Client]:
    """Yield a client of the manager that `config` or `url` names, else of the default one."""
    import httpx

    from stream_manager.pipelines.sockets import short_address

    if config and url:
        raise UsageError("give --config or --url, not both")
    typed = partial(pasteable, config=config, url=url)
    with ExitStack() as stack:
        if url:
            from stream_manager.config.redaction import redacted

            mend = "start one whose configuration says listen, or ask without --url"
            http = stack.enter_context(httpx.Client(trust_env=False))
            yield Client(http, url.rstrip("/"), place=redacted(url), mend=mend, pasteable=typed)
            return
        path = runtime_dir(config) / "api.sock"
        mend = f"start one with: {program()} run {shlex.quote(str(config or 'CONFIG.toml'))}"
        if config is None:
            mend += " (or name the configuration of a running one with --config)"
        try:
            address = stack.enter_context(short_address(str(path)))
            _refuse_strangers(Path(address), path)
        except FileNotFoundError as error:
            raise NoManager(f"no manager answers at {path}; {mend}") from error
        except PermissionError as error:
            raise OutsideError(
                f"{path} can't be reached: {error.strerror}; run this as the user that the manager"
                " runs as, or with sudo"
            ) from error
        except OSError as error:
            raise OutsideError(f"{path} can't be reached: {error.strerror}") from error
        transport = httpx.HTTPTransport(uds=address)
        http = stack.enter_context(httpx.Client(transport=transport))
        yield Client(http, "http://localhost", place=str(path), mend=mend, pasteable=typed)


def _refuse_strangers(address: Path, path: Path) -> None:
    """Raise UsageError if another user may be listening at `path`, whose short form is `address`.

    Root may be anywhere, and may ask anybody. Raises FileNotFoundError if nobody listens.
    """
    us = os.geteuid()
    owners = (address.lstat().st_uid, address.parent.stat().st_uid)
    strangers = [owner for owner in owners if owner not in (0, us)]
    if strangers and us != 0:
        raise UsageError(
            f"{path} belongs to user {strangers[0]}, and this is user {us}: what listens there"
            " is not asked; give your own manager a runtime_dir of its own"
        )


def settings(config: Path) -> "ManagerSettings":
    """Read what `config` says of the manager; raises ConfigurationErrors."""
    from stream_manager.config import load_manager

    return load_manager(config, os.environ)


def runtime_dir(config: Path | None) -> Path:
    """Return where the manager that `config` names, or the default one, has its sockets."""
    from stream_manager.config import default_runtime_dir

    return default_runtime_dir(os.environ) if config is None else settings(config).runtime_dir


def state_dir_of(manager: Mapping[str, Any]) -> Path:
    """Return the state_dir that a manager's status names, if it can be read from here."""
    found = manager["state_dir"]
    if found is None:
        raise OutsideError("the manager does not tell its state_dir: name it with --config")
    with suppress(OSError):
        if Path(found).is_dir():
            return Path(found)
    raise UsageError(
        f"the manager's state_dir {found} can't be read from here: ask on its own machine, as its"
        " user"
    )


def state_dir(config: Path | None, url: str | None) -> Path:
    """Return the state_dir that a configuration names, else that of the running manager."""
    if config is not None and url is None:
        return settings(config).state_dir
    with connect(config, url) as client:
        return state_dir_of(client.get("status")["manager"])
