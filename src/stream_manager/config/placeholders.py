"""Placeholders: `${NAME}` stands for an environment variable, `${file:PATH}` for a file's content.

A text is cut into its literal pieces and its placeholders before anything else is parsed, so that
no character of a value can change what the text around it means.
"""

import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote

from stream_manager.config.problems import NO_VARIABLE

_PLACEHOLDER = re.compile(r"\$\{(?:file:(?P<file>[^}]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*))\}")
_WORD_BORDER = re.compile(r"""[\s"'=]""")
_ESCAPED_IN_PIPELINES = re.compile(r"""[\s"'\\]""")
_LARGEST_FILE_BYTES = 65536
# Shorter texts are in too many words by chance: to scrub them would garble every message.
_SHORTEST_SCRUBBED = 4
# Values travel through URL parsing as one private-use character each. Texts and values are
# printable, these are not, so that none can stand there already.
_FIRST_MARK = 0xE000


class _NoValueError(Exception):
    """A placeholder has no usable value."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}, expected {expected}")
        self.found = found
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text whose placeholders are marks, and their values in the order of the marks.

    `names` are the placeholders themselves, as they were written.
    """

    marked: str
    values: tuple[str, ...] = field(repr=False)
    names: tuple[str, ...]

    def starts_with_value(self) -> bool:
        """Tell whether the text begins with a placeholder."""
        return self.marked.startswith(chr(_FIRST_MARK))

    def with_first_in_place(self) -> "Expanded":
        """Return the same with the first value as literal text."""
        return replace(self, marked=self.marked.replace(chr(_FIRST_MARK), self.values[0]))

    def as_written(self, part: str) -> str:
        """Return a part of `marked` with the placeholders in their places again."""
        for index, name in enumerate(self.names):
            part = part.replace(chr(_FIRST_MARK + index), name)
        return part

    def raw(self, part: str) -> str:
        """Return a part of `marked` with the values as they are."""
        return "".join(piece for _, piece in self._pieces(part))

    def decoded(self, part: str) -> str:
        """Return a part with its literal pieces percent-decoded and the values as they are."""
        return "".join(
            piece if is_value else unquote(piece) for is_value, piece in self._pieces(part)
        )

    def quoted(self, part: str) -> str:
        """Return a part of a URL with the values percent-encoded."""
        return "".join(
            quote(piece, safe="") if is_value else piece for is_value, piece in self._pieces(part)
        )

    def in_pipeline(self) -> str:
        """Return the text with each value such that GStreamer reads it whole, as one word.

        Inside a URL it is percent-encoded, elsewhere escaped.
        """
        description = ""
        for is_value, piece in self._pieces(self.marked):
            if not is_value:
                description += piece
            elif "://" in _WORD_BORDER.split(description)[-1]:
                description += quote(piece, safe="")
            else:
                description += _escaped(piece)
        return description

    def _pieces(self, part: str) -> Iterator[tuple[bool, str]]:
        """Yield (True, a value) and (False, literal text) in order."""
        literal = ""
        for character in part:
            index = ord(character) - _FIRST_MARK
            if 0 <= index < len(self.values):
                yield False, literal
                yield True, self.values[index]
                literal = ""
            else:
                literal += character
        yield False, literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Vault:
    """Where placeholders find their values: `environ`, and files relative to `directory`."""

    environ: Mapping[str, str]
    directory: Path

    def expand(self, text: str, *, tell: Callable[[str, str], None]) -> Expanded | None:
        """Look up every placeholder; `tell` what was found and expected for each without a value.

        Returns None after that. No value is told.
        """
        complete = is_printable(text)
        if not complete:
            tell("a control character", "printable characters")
        marked, end = "", 0
        values: list[str] = []
        names: list[str] = []
        for found in _PLACEHOLDER.finditer(text):
            marked += text[end : found.start()] + chr(_FIRST_MARK + len(values))
            end = found.end()
            names.append(found[0])
            try:
                values.append(self._value(found))
            except _NoValueError as error:
                tell(error.found, error.expected)
                complete = False
        marked += text[end:]
        if "${" in marked:
            tell('"${" without a name', '"${NAME}" or "${file:PATH}"')
            complete = False
        return Expanded(marked, tuple(values), tuple(names)) if complete else None

    def exposed(self, text: str) -> tuple[str, ...]:
        """Return the placeholders of a text whose files every user of the machine can read."""
        return tuple(
            found[0]
            for found in _PLACEHOLDER.finditer(text)
            if found["file"] and self._readable_by_others(self.directory / found["file"])
        )

    def _value(self, found: re.Match[str]) -> str:
        value = self._read(found) if found["file"] else self.environ.get(found["name"])
        if value is None:
            raise _NoValueError(f"{NO_VARIABLE}{found['name']}", f"a value for {found[0]}")
        if not value:
            raise _NoValueError(f"an empty value for {found[0]}", "a value that is not empty")
        if not is_printable(value):
            raise _NoValueError(f"control characters in {found[0]}", "printable characters")
        return value

    def _read(self, found: re.Match[str]) -> str:
        path = self.directory / found["file"]
        expected = f"a text file for {found[0]} that can be read"
        try:
            if not path.is_file():  # a pipe or a device could keep us waiting for ever
                raise _NoValueError(f"no file {path}", expected)
            with path.open("rb") as file:
                content = file.read(_LARGEST_FILE_BYTES + 1)
            text = content.decode()
        except (OSError, ValueError) as error:
            raise _NoValueError(f"{path}: {_reason(error)}", expected) from error
        if len(content) > _LARGEST_FILE_BYTES:
            raise _NoValueError(f"more than {_LARGEST_FILE_BYTES} bytes in {path}", expected)
        return text.removesuffix("\n").removesuffix("\r")

    def _readable_by_others(self, path: Path) -> bool:
        try:
            return bool(path.stat().st_mode & stat.S_IROTH)
        except OSError:
            return False  # that it can't be read is an error, and told as such


def variables(text: str) -> list[str]:
    """Return the names of the environment variables that a text takes, in its order."""
    return [found["name"] for found in _PLACEHOLDER.finditer(text) if found["name"]]


def is_printable(text: str) -> bool:
    """Tell whether a text is free of control characters (but tab, newline) and of our marks."""
    return text.replace("\t", " ").replace("\n", " ").isprintable()


def to_scrub(
    values: Iterable[str], *, passwords: Iterable[str] = (), as_written: str = ""
) -> tuple[str, ...]:
    """Return each text that must not leave the product, in all its forms, longest first.

    Passwords count however short they are; `as_written` is how one stands in its URL. Longest
    first, so that scrubbing one never leaves the rest of another.
    """
    secrets = {value for value in values if len(value) >= _SHORTEST_SCRUBBED} | {*passwords}
    encoded = {quote(secret, safe="") for secret in secrets}
    escaped = {_escaped(secret) for secret in secrets}
    forms = (secrets | encoded | escaped | {as_written}) - {""}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


def _escaped(value: str) -> str:
    return _ESCAPED_IN_PIPELINES.sub(r"\\\g<0>", value)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "not UTF-8"
