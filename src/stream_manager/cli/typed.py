"""How a command is to be typed here and now, so that a hint works when it is pasted."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

NAME = "stream-manager"
# A sentence of the manager's that ends with a command; it can't know how it was reached.
_ENDS_WITH_COMMAND = re.compile(
    rf"(?<=: ){NAME} (?P<words>(?:start|reset|reload|shutdown|incident show)(?: \S+)?)$"
)


def program() -> str:
    """Return this program as a shell in this directory finds it."""
    called = sys.argv[0]
    if Path(called).name != NAME or "/" not in called:
        return NAME  # not a path: the shell found it, or it was not called by its name
    try:
        here = Path.cwd()
    except OSError:  # it was deleted: no relative path leads anywhere
        here = None
    whole = Path(called) if here is None else Path(os.path.normpath(here / called))
    found = shutil.which(NAME)
    if found is not None and whole.is_absolute() and Path(found).resolve() == whole.resolve():
        return NAME
    if here is not None and whole.is_relative_to(here):
        whole = whole.relative_to(here)
    text = str(whole)
    return shlex.quote(text if "/" in text else f"./{text}")


def command(words: str, config: Path | None, url: str | None = None) -> str:
    """Return a command for the manager that `config` or `url` names, without a URL's password."""
    text = f"{program()} {words}"
    if config is not None:
        text += f" --config {shlex.quote(str(config))}"
    if url is not None:
        from stream_manager.config.redaction import redacted  # it would keep --help waiting

        text += f" --url {shlex.quote(redacted(url))}"
    return text


def pasteable(sentence: str, config: Path | None, url: str | None = None) -> str:
    """Return a sentence of the manager's with the command at its end as it works here."""
    return _ENDS_WITH_COMMAND.sub(lambda found: command(found["words"], config, url), sentence)
