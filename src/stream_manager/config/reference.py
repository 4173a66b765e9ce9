"""The configuration reference, made from the models: `python -m stream_manager.config.reference`.

The page in docs/ is this module's output, and a test holds the two together.
"""

import sys
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from stream_manager.config.forms import Form
from stream_manager.config.tables import (
    BackoffTable,
    BudgetTable,
    LimitsTable,
    ManagerTable,
    OutputTable,
    RecordTable,
    RecoveryTable,
    StreamTable,
    Table,
    VolumeTable,
)

_HEAD = """\
# Configuration

One TOML file, given to `stream-manager run` and judged by `stream-manager check`, which names every
error with file, line and key. [examples/cameras.toml](../examples/cameras.toml) shows it whole.
This page is made by `python -m stream_manager.config.reference >docs/configuration.md`.

- **Paths** are relative to the file.
- **Durations** carry their unit: `500ms`, `30s`, `5min`, `2h`, `7d`.
- **Sizes** too: `512KiB`, `200MiB`, `1.5GiB`.
- **Secrets**: `${NAME}` stands for an environment variable, `${file:PATH}` for a file's content, in
  `source` and `pipeline`. They may hold any characters and are percent-encoded where they stand in
  a URL. They appear in no log, status, journal or process title.
- **Changes** take effect at `stream-manager reload` (or SIGHUP, `systemctl reload
  stream-manager`), for the streams that changed alone; those of `[manager]` and of environment
  variables at the next start. A file with errors changes nothing.
- **Unknown keys** are errors, not ignored.
"""
_PARTS: tuple[tuple[str, type[Table], str], ...] = (
    ("[manager]", ManagerTable, "Where the manager keeps things, and where it listens."),
    (
        "[recovery]",
        RecoveryTable,
        "How streams are healed: [recovery.md](recovery.md). A stream may set each key too.",
    ),
    ("backoff = { … }", BackoffTable, "In `[recovery]` or a stream."),
    ("budget = { … }", BudgetTable, "In `[recovery]` or a stream."),
    ("limits = { … }", LimitsTable, "In `[recovery]` or a stream."),
    ("[[volumes]]", VolumeTable, "Where recordings go; one table for each place."),
    ("[[streams]]", StreamTable, "One table for each stream, with the keys of `[recovery]` too."),
    ("record = { … }", RecordTable, "In a stream."),
    (
        "[[streams.outputs]]",
        OutputTable,
        "Below a stream; one table for each output of its own: [outputs.md](outputs.md).",
    ),
)
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (0.001, "ms"))


def reference() -> str:
    """Return the page: each table with each key, its form, its default and its meaning."""
    parts = [_HEAD]
    for title, model, about in _PARTS:
        level = "##" if title.startswith("[") else "###"
        parts.append(f"\n{level} `{title}`\n\n{about}\n\n")
        parts.append("| key | form | default | meaning |\n| --- | --- | --- | --- |\n")
        inherited = RecoveryTable.model_fields if model is StreamTable else {}
        for name, field in model.model_fields.items():
            if name not in inherited:
                row = (f"`{name}`", _form(field), _default(field), field.description or "")
                parts.append(f"| {' | '.join(row)} |\n")
    return "".join(parts)


def _form(field: FieldInfo) -> str:
    if (form := _said(field)) is not None:
        return form.written
    annotation = field.annotation
    if get_origin(annotation) is Literal:
        return ", ".join(f'`"{value}"`' for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return "table"
    if annotation is bool:
        return "`true` or `false`"
    least, most = (
        next(getattr(it, key) for it in field.metadata if hasattr(it, key)) for key in ("ge", "le")
    )
    kind = "whole number" if annotation is int else "number"
    return f"{kind}, {least:g} to {most:g}"


def _default(field: FieldInfo) -> str:
    form, default = _said(field), field.default
    if form is not None and form.default:
        return form.default if form.default[0] not in '"$' else f"`{form.default}`"
    if isinstance(default, Table):
        return "see below"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if form is not None and isinstance(default, float):
        return f"`{_duration(default)}`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


def _said(field: FieldInfo) -> Form | None:
    """Return what is said of the key itself, else of its type."""
    return next((it for it in reversed(field.metadata) if isinstance(it, Form)), None)


def _duration(seconds: float) -> str:
    """Write a duration with the largest unit in which it is a whole number."""
    unit_s, unit = next((size, unit) for size, unit in _UNITS if round(seconds / size, 6) % 1 == 0)
    return f"{round(seconds / unit_s)}{unit}"


if __name__ == "__main__":
    sys.stdout.write(reference())
