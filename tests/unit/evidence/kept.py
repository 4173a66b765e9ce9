"""A finding as tests have it: of a worker that crashed."""

from datetime import UTC, datetime

from stream_manager.evidence import Kept

CRASH = Kept(
    number=46,
    seq=46,
    at=datetime(2026, 1, 31, 12, 0, 5, 99_000, tzinfo=UTC),
    stream="cam",
    component="cam",
    rule="crash-once",
    cause="crash",
    fault_class="transient",
    code="SIGSEGV",
    text="the process was ended by SIGSEGV",
    epoch=7,
    pid=42,
    exit="it was ended by SIGSEGV (Segmentation fault)",
)
