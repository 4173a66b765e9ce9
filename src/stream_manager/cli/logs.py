"""Logs go to stderr: for people in local time, in colour on a terminal, or as JSON lines in UTC."""

import logging
import sys

import structlog
from structlog.typing import Processor  # noqa: TC002 - a type of local variables, cheap


def set_up_logs(*, as_json: bool) -> None:
    """Route the program's and its libraries' logs through one formatter."""
    render: list[Processor]
    if as_json:
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")
        # Local variables would tell passwords.
        transform = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        tracebacks = structlog.processors.ExceptionRenderer(transform)
        render = [tracebacks, structlog.processors.JSONRenderer()]
    else:
        on_terminal = sys.stderr.isatty()
        date = "" if on_terminal else "%Y-%m-%d "
        stamp = structlog.processors.TimeStamper(fmt=f"{date}%H:%M:%S", utc=False)
        render = [
            structlog.dev.ConsoleRenderer(
                colors=on_terminal, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        stamp,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # At INFO they tell of their own comings and goings, which is nothing to an operator.
    for library in ("uvicorn", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # It warns of each request that is not HTTP, and any port scanner sends hundreds.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
