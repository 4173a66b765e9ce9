"""`stream-manager reload`: has the manager read its configuration again, and tells the result."""

import json

import typer

from stream_manager.cli.client import ConfigOption, JsonOption, UrlOption, connect
from stream_manager.cli.words import plain

DONE = {
    "added": "new",
    "changed": "changed (what an operator stopped stays stopped, the others start anew)",
    "removed": "removed",
}
NOTHING = (
    "no stream has changed. A new value of an environment variable takes a restart of the"
    " manager, which keeps those that it was started with"
)


def reload(
    *, as_json: JsonOption = False, config: ConfigOption = None, url: UrlOption = None
) -> None:
    """Have the manager read its configuration again.

    Streams that did not change go on; one that failed is tried at once if its settings changed. A
    configuration with errors is refused as a whole: exit code 2, and nothing has changed.
    """
    with connect(config, url) as client:
        answer = client.post("reload")
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    for warning in answer["warnings"]:
        typer.echo(f"{plain(warning)} (warning)", err=True)
    for key, words in DONE.items():
        if answer[key]:
            typer.echo(f"{words}: {', '.join(answer[key])}")
    if not any(answer[key] for key in DONE):
        typer.echo(NOTHING)
    elif answer["unchanged"]:
        typer.echo(f"unchanged, and undisturbed: {', '.join(answer['unchanged'])}")
