"""Which domains a stream's parts share with others: what they can fail with, narrowest first."""

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from stream_manager.config import StreamSettings
from stream_manager.pipelines.spec import PipelineSource, RtspSource
from stream_manager.recovery.classify import DEVICE_SOURCES

# The machine that all workers run on.
WORKER_DOMAINS = ("node",)
_DEVICE = re.compile(
    rf"\b(?:{'|'.join(sorted(DEVICE_SOURCES))})\b[^!]*?\bdevice *= *\"?([^\s!\"]+)"
)


def source_domains(settings: StreamSettings) -> tuple[str, ...]:
    """Return a camera's host and subnet, or a pipeline's devices, then what the user names.

    What holds a secret must not be shown, and is no domain.
    """
    secrets = settings.spec.secrets
    derived: list[str] = []
    match settings.spec.source:
        case RtspSource(url=url):
            host = urlsplit(url).hostname or ""
            derived += [] if _hidden(host, secrets) else _of_host(host)
        case PipelineSource(description=description):
            devices = _DEVICE.findall(description)
            derived += [f"device:{it}" for it in devices if not _hidden(it, secrets)]
    return tuple(dict.fromkeys((*derived, *settings.depends_on)))


def record_domains(settings: StreamSettings) -> tuple[str, ...]:
    """Return the volume that a stream is recorded to."""
    return () if settings.volume is None else (f"volume:{settings.volume}",)


def _hidden(text: str, secrets: tuple[str, ...]) -> bool:
    return any(secret in text for secret in secrets)


def _of_host(host: str) -> tuple[str, ...]:
    """Derive domains from an address, or from a name, which tells no subnet."""
    try:
        address = ip_address(host)
    except ValueError:
        return (f"host:{host}",)
    by_host = f"host:{address}"
    if address.is_loopback:
        return (by_host,)
    prefix = 24 if address.version == 4 else 64
    return by_host, f"subnet:{ip_network((int(address), prefix), strict=False)}"
