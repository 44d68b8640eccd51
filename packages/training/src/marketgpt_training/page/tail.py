"""Reading a growing file bit by bit."""

from __future__ import annotations

from pathlib import Path

_MOST_BYTES = 1 << 20
_MARK_BYTES = 256


class Tail:
    """Gives the lines of a file that are new since the last look, a bounded part at a time.

    A training that goes on from a checkpoint cuts its log and writes on: that is noticed by the bytes before
    the place read up to, and the file is read from its beginning again.

    Args:
        path: The file; it need not be there yet.
        most_bytes: Read at a time.
    """

    def __init__(self, path: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        self._path, self._most_bytes = path, most_bytes
        self._offset, self._mark = 0, b""
        #: Whether the last look came to the end of the file.
        self.is_at_end = True

    def read(self) -> tuple[bool, list[bytes]]:
        """Return whether the file began anew, and the whole lines that are new.

        A line longer than is read at a time comes in pieces.

        Raises:
            OSError: when the file is there and cannot be read.
        """
        if not self._path.is_file():
            began_anew = self._offset > 0
            self._offset, self._mark, self.is_at_end = 0, b"", True
            return began_anew, []
        with self._path.open("rb") as file:
            file.seek(self._offset - len(self._mark))
            began_anew = file.read(len(self._mark)) != self._mark
            if began_anew:
                self._offset, self._mark = 0, b""
                file.seek(0)
            chunk = file.read(self._most_bytes)
        self.is_at_end = len(chunk) < self._most_bytes
        whole = chunk.rfind(b"\n") + 1
        if not whole and not self.is_at_end:
            whole = len(chunk)
        chunk = chunk[:whole]
        self._offset += whole
        self._mark = (self._mark + chunk)[-_MARK_BYTES:]
        return began_anew, chunk.splitlines()
