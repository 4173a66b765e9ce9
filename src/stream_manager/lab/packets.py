"""What happens to RTP packets on their way from a payloader: leaps in time, and garbage.

What is not meant to change stays, bit for bit: sequence numbers, marker, SSRC, order and pace.
"""

import os
from collections.abc import Callable

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402 - versions must be required first

DATA = Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST


def shifted(packet: bytes, ticks: int) -> bytes:
    """Return the packet with its timestamp moved by so many ticks of its clock."""
    timestamp = (int.from_bytes(packet[4:8], "big") + ticks) % 2**32
    return packet[:4] + timestamp.to_bytes(4, "big") + packet[8:]


def garbled(packet: bytes, noise: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the packet with its header as it is, and `noise` as its payload."""
    header = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        header += 4 + 4 * int.from_bytes(packet[header + 2 : header + 4], "big")
    return packet[:header] + noise(len(packet) - header)


class PacketFilter:
    """Rewrites the packets of one payloader. Costs nothing until it is first engaged."""

    def __init__(self, payloader: Gst.Element, is_garbled: Callable[[], bool]) -> None:
        pad = payloader.get_static_pad("src")
        assert pad is not None
        self._pad = pad
        self._is_garbled = is_garbled
        self._ticks = 0
        self._engaged = False
        self._passes = False  # what it pushes itself comes by again

    def engage(self) -> None:
        """Look at every packet from now on."""
        if not self._engaged:
            self._engaged = True
            self._pad.add_probe(DATA, self._rewrite)

    def leap(self, by_s: float) -> None:
        """Move all timestamps from now on."""
        self.engage()
        caps = self._pad.get_current_caps()
        assert caps is not None
        known, rate_hz = caps.get_structure(0).get_int("clock-rate")
        assert known
        self._ticks += round(by_s * rate_hz)

    def _rewrite(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        is_garbled = self._is_garbled()
        if self._passes or not (self._ticks or is_garbled):
            return Gst.PadProbeReturn.OK
        self._passes = True
        for old in _buffers(info):
            packet = shifted(old.extract_dup(0, old.get_size()), self._ticks)
            new = Gst.Buffer.new_wrapped(garbled(packet) if is_garbled else packet)
            new.pts, new.dts = old.pts, old.dts
            pad.push(new)
        self._passes = False
        return Gst.PadProbeReturn.DROP


def _buffers(info: Gst.PadProbeInfo) -> list[Gst.Buffer]:
    if info.type & Gst.PadProbeType.BUFFER:
        one = info.get_buffer()
        assert one is not None
        return [one]
    several = info.get_buffer_list()
    assert several is not None
    return [several.get(index) for index in range(several.length())]
