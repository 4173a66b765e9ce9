"""How a fault is ordered in one line of text, whoever stands ready to cause it.

    NAME [key=value …] [after=DURATION] [for=DURATION]      heal      heal NAME

`after` is the wait until it begins. Without `for` it lasts until `heal` ends all faults, or
`heal NAME` this one. What names and keys there are is told by a table of `FaultKind`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from stream_manager.config.durations import duration_s
from stream_manager.errors import UsageError

HEAL = "heal"
AFTER = "after"
FOR = "for"


class Lasts(Enum):
    """What ends a fault of some kind."""

    UNTIL_HEALED = "until healed"  # or as long as `for` says
    TIMED = "timed"  # `for` must be given
    ONCE = "once"  # done in the moment it begins: it takes no `for`, and can't be healed


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A key that a fault takes. `read` turns its text into a value, or raises ValueError.

    The sentence of that error ends the message, so it says what would do: "expected yes or no".
    Without a `default` (a text, as it would be given) the key must be given.
    """

    name: str
    means: str
    read: Callable[[str], Any]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A fault that can be ordered. `does` is one sentence for `--help` and the documentation."""

    name: str
    does: str
    options: tuple[Option, ...] = ()
    lasts: Lasts = Lasts.UNTIL_HEALED


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A fault to cause: `after_s` from now, for `for_s` (None: until healed, or done at once).

    `options` holds a value for every option of the kind, as its `read` made it. `line` is the text
    that was given, without its times, for whoever the order is passed on to.
    """

    kind: FaultKind
    options: Mapping[str, Any]
    after_s: float = 0.0
    for_s: float | None = None
    line: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The name of its kind."""
        return self.kind.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Heal:
    """End the fault of that name, begun or still to come; None: all of them."""

    name: str | None = None


def parse(line: str, kinds: Sequence[FaultKind]) -> Order | Heal:
    """Return what a line orders; raises `UsageError`, which names what there is instead."""
    name, *words = line.split() or [""]
    if name == HEAL:
        return _heal(words, kinds)
    kind = _kind(name, kinds)
    given = _pairs(kind, words)
    after_s = _duration(kind, AFTER, given.pop(AFTER, "0s"))
    for_s = _duration(kind, FOR, given.pop(FOR)) if FOR in given else None
    if for_s is None and kind.lasts is Lasts.TIMED:
        raise UsageError(f"{name}: say how long, as in {name} {FOR}=3s")
    if for_s is not None and kind.lasts is Lasts.ONCE:
        raise UsageError(f"{name}: it is done at once, so it takes no {FOR}=")
    if for_s == 0:
        raise UsageError(f"{name}: {FOR}=0s would end it before it began")
    options = {option.name: _value(kind, option, given) for option in kind.options}
    line = " ".join(
        [name, *(word for word in words if not word.startswith((f"{AFTER}=", f"{FOR}=")))]
    )
    return Order(kind=kind, options=options, after_s=after_s, for_s=for_s, line=line)


def usage(kinds: Sequence[FaultKind]) -> list[str]:
    """Return how each fault is written and what it does, one line a fault and one an option."""
    lines = []
    for kind in kinds:
        keys = [_written(option) for option in kind.options]
        if kind.lasts is Lasts.TIMED:
            keys.append(f"{FOR}=DURATION")
        lines.append(f"{' '.join([kind.name, *keys])}: {kind.does}")
        lines += [f"    {option.name}: {option.means}" for option in kind.options]
    return lines


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader that takes these words and no other."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected {' or '.join(words)}")
        return text

    return read


def yes_or_no(text: str) -> bool:
    """Read a switch."""
    return one_of("yes", "no")(text) == "yes"


def _heal(words: list[str], kinds: Sequence[FaultKind]) -> Heal:
    match words:
        case []:
            return Heal()
        case [name]:
            kind = _kind(name, kinds)
            if kind.lasts is Lasts.ONCE:
                raise UsageError(f"{HEAL} {name}: it is done at once and can't be healed")
            return Heal(name=name)
    raise UsageError(f"{HEAL} {' '.join(words)}: expected {HEAL}, or {HEAL} and one fault's name")


def _kind(name: str, kinds: Sequence[FaultKind]) -> FaultKind:
    for kind in kinds:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in kinds)
    raise UsageError(f"there is no fault {name!r}. There are: {known}; and {HEAL}")


def _pairs(kind: FaultKind, words: list[str]) -> dict[str, str]:
    """Split key=value words; refuse keys that the kind does not have, or has twice."""
    known = (*(option.name for option in kind.options), AFTER, FOR)
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known:
            raise UsageError(
                f"{kind.name}: it takes no {word!r}, only "
                + ", ".join(f"{name}=…" for name in known)
            )
        if key in pairs:
            raise UsageError(f"{kind.name}: {key} is given twice")
        pairs[key] = value
    return pairs


def _duration(kind: FaultKind, key: str, text: str) -> float:
    try:
        return duration_s(text)
    except ValueError as error:
        raise UsageError(f"{kind.name}: {key}={text}: {error}") from error


def _value(kind: FaultKind, option: Option, given: Mapping[str, str]) -> object:
    text = given.get(option.name, option.default)
    if text is None:
        raise UsageError(f"{kind.name}: {option.name}=… is missing ({option.means})")
    try:
        return option.read(text)
    except ValueError as error:
        raise UsageError(f"{kind.name}: {option.name}={text}: {error}") from error


def _written(option: Option) -> str:
    if option.default is None:
        return f"{option.name}=…"
    return f"[{option.name}={option.default}]"
