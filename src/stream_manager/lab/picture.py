"""The generated picture: a moving texture with its frame number burnt in, for people and for tests.

The number stands twice: as seven-segment digits, and below them as a row of squares, one per bit,
most significant first, white for 1. The squares survive any encoder, so a test can tell which
frames arrived, which came twice and which were lost.
"""

from dataclasses import dataclass

from stream_manager.errors import UsageError

BITS = 16
DIGITS = 5
BLACK = 16
WHITE = 235
GREY = 128  # of chroma: no colour

# Segments a to g of each digit, clockwise from the top, the middle one last.
SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgcde", "abc", "abcdefg", "abcdfg")
# Each segment's left, top, width and height in a cell of 4 x 7 squares.
PLACES = {
    "a": (0, 0, 4, 1),
    "b": (3, 0, 1, 4),
    "c": (3, 3, 1, 4),
    "d": (0, 6, 4, 1),
    "e": (0, 3, 1, 4),
    "f": (0, 0, 1, 4),
    "g": (0, 3, 4, 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Size in pixels, pictures per second, and pictures from one keyframe to the next."""

    width: int = 640
    height: int = 360
    fps: int = 25
    gop: int = 10

    def __post_init__(self) -> None:
        """Refuse what can't be drawn or encoded (`UsageError`)."""
        if self.width % 8 or self.height % 8 or not 160 <= self.width <= 4096:
            raise UsageError(
                f"picture size {self.width}x{self.height}: both sides must be multiples of 8, "
                "the width from 160 to 4096"
            )
        if self.height < self.width // 4:
            raise UsageError(
                f"picture size {self.width}x{self.height}: the counter needs a height of at least "
                "a quarter of the width"
            )
        if not 1 <= self.fps <= 120 or self.gop < 1:
            raise UsageError(
                f"picture rate {self.fps}/s, keyframe distance {self.gop}: "
                "expected 1 to 120 pictures per second and at least 1 picture"
            )

    @property
    def square(self) -> int:
        """Side of one square of the counter, in pixels."""
        return self.width // (2 * BITS)

    def draw(self, number: int) -> bytes:
        """Return frame `number` as planar I420."""
        luma = self._texture(number)
        side = self.square
        self._fill(luma, 0, 0, self.width, 10 * side, BLACK)
        for place, digit in enumerate(f"{number:0{DIGITS}d}"):
            for segment in SEGMENTS[int(digit)]:
                x, y, width, height = PLACES[segment]
                x += 1 + 6 * place
                self._fill(luma, x * side, (y + 1) * side, width * side, height * side, WHITE)
        for bit in range(BITS):
            if number >> (BITS - 1 - bit) & 1:
                self._fill(luma, 2 * bit * side, 8 * side + side // 2, 2 * side, side, WHITE)
        return bytes(luma) + bytes([GREY]) * (self.width * self.height // 2)

    def number(self, frame: bytes) -> int:
        """Return the number burnt into a decoded frame, of which the luma plane is enough."""
        row = 9 * self.square * self.width
        number = 0
        for bit in range(BITS):
            number = number << 1 | (frame[row + (2 * bit + 1) * self.square] > GREY)
        return number

    def _texture(self, number: int) -> bytearray:
        # Two ramps that cross: detail enough for an encoder to have work at every frame.
        ramp = bytes(BLACK + (3 * x & 127) for x in range(self.width + 128))
        luma = bytearray()
        for y in range(self.height):
            shift = (y + 2 * number) & 127 if y & 64 else (y - number) & 127
            luma += ramp[shift : shift + self.width]
        return luma

    def _fill(
        self, luma: bytearray, left: int, top: int, width: int, height: int, value: int
    ) -> None:
        line = bytes([value]) * width
        for y in range(top, top + height):
            start = y * self.width + left
            luma[start : start + width] = line
