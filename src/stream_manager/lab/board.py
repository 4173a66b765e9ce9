"""Memory that a camera shares with its owner: it tells what a killed or frozen process can't tell.

The camera writes when its last picture left each mount. The owner counts the freezes, so that after
one the camera knows that its owner has told of the last picture, and tells of the first.
"""

import mmap
import os
import struct
from typing import Self

_WORD = struct.Struct("=Q")


class Board:
    """One 64-bit word for the number of freezes, and one a mount."""

    def __init__(self, descriptor: int, words: int) -> None:
        self.descriptor = descriptor
        self._words = mmap.mmap(descriptor, words * _WORD.size)

    @classmethod
    def create(cls, mounts: int) -> Self:
        """Make a board whose descriptor can be handed to a child."""
        descriptor = os.memfd_create("camera-board")
        os.ftruncate(descriptor, (1 + mounts) * _WORD.size)
        return cls(descriptor, 1 + mounts)

    @classmethod
    def attach(cls, descriptor: int) -> Self:
        """Open the board behind a descriptor."""
        return cls(descriptor, os.fstat(descriptor).st_size // _WORD.size)

    def close(self) -> None:
        """Give memory and descriptor back."""
        self._words.close()
        os.close(self.descriptor)

    @property
    def freezes(self) -> int:
        """How often the camera was frozen."""
        return self._read(0)

    def count_freeze(self) -> None:
        """Count one more; the camera must stand still."""
        _WORD.pack_into(self._words, 0, self.freezes + 1)

    def last_picture_ns(self, mount: int) -> int:
        """Return when the last picture left for a viewer of that mount, in wall time."""
        return self._read(1 + mount)

    def note_picture(self, mount: int, wall_ns: int) -> None:
        """Write down when a picture left for a viewer of that mount."""
        _WORD.pack_into(self._words, (1 + mount) * _WORD.size, wall_ns)

    def _read(self, word: int) -> int:
        (value,) = _WORD.unpack_from(self._words, word * _WORD.size)
        assert isinstance(value, int)
        return value
