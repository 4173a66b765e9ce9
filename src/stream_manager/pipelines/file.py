class FileLoop:
    position_s: float | None
