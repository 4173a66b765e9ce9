"""Where volumes are, and were: which file is on which, by whatever name it had."""

from collections.abc import Mapping
from pathlib import Path

from stream_manager.errors import InvariantError
from stream_manager.store.segments import Segment


class Places:
    """The directories of volumes. `present` are those that the configuration names now."""

    def __init__(self, known: Mapping[str, Path]) -> None:
        """Begin with the volumes that the index knows."""
        self.present: Mapping[str, Path] = {}
        self._ids = {path: id_ for id_, path in known.items()}

    def configure(self, volumes: Mapping[str, Path]) -> dict[str, str]:
        """Take the configured volumes; return those that got another name: former to present.

        Files may still be finished where a volume was before.
        """
        renamed = {
            former: id_
            for id_, path in volumes.items()
            if (former := self._ids.get(path, id_)) != id_ and former not in volumes
        }
        self.present = dict(volumes)
        self._ids |= {path: id_ for id_, path in volumes.items()}
        return renamed

    def path(self, segment: Segment) -> Path:
        """Return where a segment's file should be."""
        roots = {id_: path for path, id_ in self._ids.items()} | dict(self.present)
        return roots[segment.volume] / segment.path

    def place(self, path: str) -> tuple[str, str]:
        """Return the volume that a file is on, the innermost, and its path there."""
        roots = [root for root in self._ids if Path(path).is_relative_to(root)]
        if not roots:
            raise InvariantError(f"{path} is on no volume that was ever configured")
        root = max(roots, key=lambda it: len(it.parts))
        return self._ids[root], str(Path(path).relative_to(root))
