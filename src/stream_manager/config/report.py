"""Collects everything that is wrong, and turns pydantic's findings into the product's own words."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stream_manager.config.forms import EXPECTED, is_id
from stream_manager.config.lines import KeyPath, Lines
from stream_manager.config.problems import ConfigurationError
from stream_manager.config.redaction import redacted
from stream_manager.config.tables import Table

TableT = TypeVar("TableT", bound=Table)

# Keys that are designed and not built; to take one silently would promise what is not done.
_LATER_KEYS = frozenset(
    {
        "domains",
        "keep",
        "limits",
        "max_bytes",
        "priority",
        "reserve",
        "restream",
        "sources",
    }
)
_EXPECTED: Mapping[str, str] = {
    EXPECTED: "{expected}",
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than_equal": "a number of at most {le:g}",
    "literal_error": "{expected}",
    "model_type": "a table",
    "dict_type": "a table",
    "list_type": "an array",
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_SHOWN = 100


class Report:
    """The findings about one file."""

    def __init__(self, file: str, lines: Lines) -> None:
        self.errors: list[ConfigurationError] = []
        self.warnings: list[ConfigurationError] = []
        self._file = file
        self._lines = lines
        self._names: dict[KeyPath, str] = {}
        self._wrong: set[KeyPath] = set()

    def name(self, path: KeyPath, name: str) -> None:
        """Let an array's item be called by its id."""
        self._names[path] = name

    def has(self, path: KeyPath) -> bool:
        """Tell whether the file sets this key, rightly or wrongly."""
        return path in self._lines

    def is_wrong(self, path: KeyPath) -> bool:
        """Tell whether an error stands at this key or at a table around it: its value is lost."""
        return any(path[:length] in self._wrong for length in range(1, len(path) + 1))

    def line(self, path: KeyPath) -> int:
        """Return the key's line."""
        return self._lines.of(path)

    def error(self, path: KeyPath, found: str, expected: str) -> None:
        """Add what makes the file unusable."""
        self.errors.append(self._finding(path, found, expected))
        self._wrong.add(path)

    def warn(self, path: KeyPath, found: str, expected: str) -> None:
        """Add what works and is hardly meant."""
        self.warnings.append(self._finding(path, found, expected))

    def require(self, path: KeyPath, expected: str) -> None:
        """Add an error if the file does not set this key."""
        if not self.has(path):
            self.error(path, "nothing", expected)

    def read(self, model: type[TableT], values: Mapping[str, Any], path: KeyPath) -> TableT:
        """Judge the table at `path`; return it without the keys that were found wrong."""
        try:
            return model.model_validate(values)
        except ValidationError as error:
            problems = error.errors(include_url=False)
        right = deepcopy(dict(values))
        for problem in problems:
            self._add(model, problem, path)
            _cut(right, problem["loc"])
        return model.model_validate(right)

    def read_each(
        self, model: type[TableT], items: Sequence[Mapping[str, object]], path: KeyPath
    ) -> list[tuple[KeyPath, TableT]]:
        """Judge an array's tables one by one, and their ids together."""
        tables: list[tuple[KeyPath, TableT]] = []
        first_of: dict[str, KeyPath] = {}
        for index, values in enumerate(items):
            at = (*path, index)
            self.require((*at, "id"), "an id")
            name = values.get("id")
            if is_id(name):
                self.name(at, name)
                first = first_of.setdefault(name, at)
                if first != at:
                    line = self.line((*first, "id"))
                    self.error((*at, "id"), f'"{name}", as in line {line}', "an id of its own")
            tables.append((at, self.read(model, values, at)))
        return tables

    def _add(self, model: type[Table], problem: ErrorDetails, path: KeyPath) -> None:
        at = (*path, *problem["loc"])
        if problem["type"] != "extra_forbidden":
            expected = _EXPECTED[problem["type"]].format_map(problem.get("ctx", {}))
            self.error(at, shown(problem["input"]), expected.replace("'", '"'))
        elif (key := str(problem["loc"][-1])) in _LATER_KEYS:
            self.error(at, "a key that is not in this version", "it to be left out")
        else:
            known = sorted(_model_at(model, problem["loc"][:-1]).model_fields)
            near = difflib.get_close_matches(key, known, n=1)
            expected = shown(near[0]) if near else f"one of {', '.join(known)}"
            self.error(at, "an unknown key", expected)

    def _finding(self, path: KeyPath, found: str, expected: str) -> ConfigurationError:
        return ConfigurationError(
            line=self.line(path),
            file=self._file,
            key=self._key(path),
            found=found,
            expected=expected,
        )

    def _key(self, path: KeyPath) -> str:
        key = ""
        for length, part in enumerate(path, start=1):
            if name := self._names.get(path[:length]):
                key += f".{name}"
            elif isinstance(part, int):
                key += f"[{part}]"
            else:
                key += f".{part if _BARE_KEY.fullmatch(part) else shown(part)}"
        return key.removeprefix(".")


def shown(value: object) -> str:
    """Return a value as a message shows it: short, and without a URL's secrets."""
    match value:
        case str():
            text = redacted(value)
            if len(text) > _LONGEST_SHOWN:
                text = text[:_LONGEST_SHOWN] + "…"
            return json.dumps(text, ensure_ascii=False)
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case dict():
            return "a table"
        case list():
            return "an array"
        case _:
            return "a date or time"


def _cut(table: dict[str, Any], loc: tuple[int | str, ...]) -> None:
    """Remove the entry that holds the fault from the innermost table around it."""
    for name in loc[:-1]:
        inner = table.get(str(name))
        if not isinstance(inner, dict):
            break
        table = inner
    else:
        name = loc[-1]
    table.pop(str(name), None)


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model of the inner table at `loc`."""
    for name in loc:
        annotation = model.model_fields[str(name)].annotation
        for candidate in (annotation, *get_args(annotation)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return model
