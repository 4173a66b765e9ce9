"""Where each key of a TOML document stands: tomllib tells values, not lines.

A statement (a header, or a key with its value) is the shortest run of lines that tomllib accepts
by itself: an array or a string that goes on over lines is not accepted before its end. So the
format's own parser draws the borders, and no second grammar is needed.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

KeyPath = tuple[str | int, ...]


class TomlSyntaxError(Exception):
    """The text is not TOML; `line` is where it stops being so, counted from 1, 0 if unknown."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class Lines:
    """The line of every key, by its path: names, and the indices of arrays."""

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self._lines = lines

    def of(self, path: KeyPath) -> int:
        """Return the line of the key, or of the nearest table around it; 0 for the whole file."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def __contains__(self, path: KeyPath) -> bool:
        return path in self._lines

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._lines)


def parse(text: str) -> tuple[dict[str, Any], Lines]:
    """Return the document and its lines, or raise TomlSyntaxError."""
    text = text.replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, endless depth
        raise TomlSyntaxError(0, f"{type(error).__name__}: {error}") from error
    return document, _locate(text)


def _syntax_error(text: str, message: str) -> TomlSyntaxError:
    """Translate tomllib's message; what was never closed is reported where it was opened."""
    reason, _, place = message.partition(" (at ")
    if found := re.match(r"line (\d+)", place):
        return TomlSyntaxError(int(found[1]), reason)
    *_, (line, _chunk) = ((0, ""), *_statements(text))
    return TomlSyntaxError(line, reason)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with its first line; the last may be one that never ends."""
    first, chunk = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not chunk:
            first = number
        chunk += line + "\n"
        try:
            complete = bool(tomllib.loads(chunk))
        except (ValueError, RecursionError):
            continue
        if complete:
            yield first, chunk
        chunk = ""
    if chunk:
        yield first, chunk


def _locate(text: str) -> Lines:
    lines: dict[KeyPath, int] = {}
    # Of each array of tables: a header below one means its last item.
    last_index: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for line, chunk in _statements(text):
        value: Any = tomllib.loads(chunk)
        if chunk.lstrip().startswith("["):
            table = ()
            while value:
                [(name, value)] = value.items()
                table += (name,)
                lines.setdefault(table, line)
                if isinstance(value, list):
                    last_index[table] = last_index.get(table, -1) + 1
                    value = value[0]
                if table in last_index:
                    table += (last_index[table],)
                    lines.setdefault(table, line)
        else:
            for path in _paths(value, table):
                lines.setdefault(path, line)
    return Lines(lines)


def _paths(value: object, at: KeyPath) -> Iterator[KeyPath]:
    """Yield the path of everything inside a value."""
    inside: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        inside = iter(value.items())
    elif isinstance(value, list):
        inside = enumerate(value)
    for name, item in inside:
        yield (*at, name)
        yield from _paths(item, (*at, name))
