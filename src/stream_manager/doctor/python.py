"""The interpreter, and the packages that the extras bring."""

import platform
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from stream_manager.doctor.finding import Finding, ok, problem
from stream_manager.doctor.needs import EXTRAS


def packages(find: Callable[[str], object | None] = find_spec) -> Iterator[Finding]:
    """Look for the modules of each extra, without importing them."""
    whole = True
    for extra, modules in EXTRAS.items():
        if missing := [name for name in modules if find(name) is None]:
            whole = False
            found = f"no {', '.join(missing)}, which the extra {extra} brings"
            yield problem("Python", found, f"pip install 'stream-manager[{extra}]'")
    if whole:
        yield ok("Python", f"{platform.python_version()}, with all extras")
