"""Configuration: a TOML file in, checked settings out, or every error at once.

Read `settings` (what comes out) and `loading` (how), then `tables` (the keys), `streams` and
`policies` (what they mean together), and `lines`, `placeholders`, `redaction`, `sources` for the
details.
"""

from stream_manager.config.checking import Verdict, check
from stream_manager.config.loading import (
    load,
    load_directories,
    load_manager,
    load_policy,
    load_variables,
    place_of,
)
from stream_manager.config.places import default_runtime_dir
from stream_manager.config.problems import ConfigurationError, ConfigurationErrors
from stream_manager.config.settings import (
    Configuration,
    Limits,
    ManagerSettings,
    StreamSettings,
    Volume,
)

__all__ = [
    "Configuration",
    "ConfigurationError",
    "ConfigurationErrors",
    "Limits",
    "ManagerSettings",
    "StreamSettings",
    "Verdict",
    "Volume",
    "check",
    "default_runtime_dir",
    "load",
    "load_directories",
    "load_manager",
    "load_policy",
    "load_variables",
    "place_of",
]
