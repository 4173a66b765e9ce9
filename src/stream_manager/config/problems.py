"""What is wrong in a configuration, said so that it can be put right without asking."""

from dataclasses import dataclass

from stream_manager.errors import UsageError

# How the `found` of a missing environment variable begins.
NO_VARIABLE = "no environment variable "


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class ConfigurationError:
    """One thing in the file that is not as it must be; a warning has the same form.

    `line` counts from 1; 0 means the file as a whole. `key` is dotted, a stream or volume by its
    id, "" where no key is meant. Sorts by line. Holds no secret.
    """

    line: int
    file: str
    key: str
    found: str
    expected: str

    @property
    def lacks_variable(self) -> bool:
        """Tell whether another environment, like the service's own, may be without this error."""
        return self.found.startswith(NO_VARIABLE)

    def __str__(self) -> str:
        """Render as compilers do, so that editors can jump there."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}found {self.found}, expected {self.expected}"


class ConfigurationErrors(UsageError):  # noqa: N818 - it holds as many as there are
    """The configuration can't be used; nothing was started or created. Lists every error."""

    def __init__(self, errors: tuple[ConfigurationError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
