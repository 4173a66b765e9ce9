"""How a command is to be typed here and now, so that a hint works when it is pasted."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

NAME = "stream-manager"
# A sentence of the manager's that ends with a command; it can't know how it was reached.
_ENDS_WITH_COMMAND = re.compile(rf"(?<=: ){NAME} (?P<words>(?:start|reset|reload)(?: \S+)?)$")


def program() -> str:
    """Return this program as a shell in this directory finds it."""
    called = Path(sys.argv[0])
    if called.name != NAME or called == Path(NAME):
        return NAME  # not a path: the shell found it, or it was not called by its name
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == called.resolve():
        return NAME
    whole = Path(os.path.abspath(called))  # noqa: PTH100 - resolve() would follow symlinks
    here = Path.cwd()
    return shlex.quote(str(whole.relative_to(here) if whole.is_relative_to(here) else whole))


def command(words: str, config: Path | None, url: str | None = None) -> str:
    """Return a command for the manager that `config` or `url` names."""
    text = f"{program()} {words}"
    if config is not None:
        text += f" --config {shlex.quote(str(config))}"
    if url is not None:
        text += f" --url {shlex.quote(url)}"
    return text


def pasteable(sentence: str, config: Path | None, url: str | None = None) -> str:
    """Return a sentence of the manager's with the command at its end as it works here."""
    return _ENDS_WITH_COMMAND.sub(lambda found: command(found["words"], config, url), sentence)
