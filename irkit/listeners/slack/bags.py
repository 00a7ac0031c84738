"""A bag as one file for a channel: a deterministic ``.tar.gz``, so that the same bag is the same bytes wherever it is packed."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tempfile
import threading
from pathlib import Path
from typing import IO

from irkit.errors import ApiError, EvidenceError
from irkit.evidence.packing import Packed
from irkit.evidence.verify import verify
from irkit.listeners.slack.desk import Desk
from irkit.model.order import Held

_MEGABYTE = 1_000_000
_TAGS = "tagmanifest-sha256.txt"


class Uploads:
    """One bag at a time, beside the messages: to pack a large one and to send it takes minutes, and plans wait for approval meanwhile."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._found: dict[str, str | Exception] = {}  # by order, until it is asked for
        self._thread: threading.Thread | None = None

    def of(self, held: Held, thread: str) -> str | None:
        """The file's id, or ``-`` where there is none; None: not yet. Raises what `upload` raised."""
        busy = self._thread is not None and self._thread.is_alive()
        found = self._found.pop(held.order.id, None)
        if isinstance(found, Exception):
            raise found
        if found is None and not busy:
            self._thread = threading.Thread(target=self._run, args=(held, thread), name="irkit-bag", daemon=True)
            self._thread.start()
        return found

    def _run(self, held: Held, thread: str) -> None:
        try:
            self._found[held.order.id] = upload(self._desk, held, thread) or "-"
        except Exception as error:  # noqa: BLE001 -- whoever asks is told
            self._found[held.order.id] = error


def upload(desk: Desk, held: Held, thread: str) -> str:
    """The file's id; empty where it is not uploaded, and the log says why. Raises BusyError, UnreachableError, ForbiddenError."""
    settings, order = desk.settings.slack, held.order
    bag = _own(desk, held)
    if bag is None:
        return _not(desk, held, "the bag is not on this machine, or not as it was sealed")
    limit, name = settings.bag_limit * _MEGABYTE, f"{held.status.incident}-{bag.name}"
    if Packed(bag, name).octets > 20 * limit:
        return _not(desk, held, f"it is much larger than {settings.bag_limit} MB")
    with tempfile.TemporaryDirectory(prefix="irkit-") as folder:
        packed = Path(folder) / f"{name}.tar.gz"
        try:
            with packed.open("wb") as file:
                pack(bag, name, file)
            if packed.stat().st_size > limit:
                return _not(desk, held, f"packed it is larger than {settings.bag_limit} MB")
            found = desk.chat.upload(settings.bag_channel, packed, packed.name, f"Bag {bag.name} of incident {held.status.incident}", thread=thread)
        except (ApiError, EvidenceError) as error:
            return _not(desk, held, error.message)
    desk.log("bag-uploaded", order=order.id, incident=held.status.incident, channel=settings.bag_channel, file=found)
    return found


def pack(bag: Path, name: str, file: IO[bytes]) -> None:
    """Its tar, compressed: no time of it and no name. Raises EvidenceError where it can't be read, or changes meanwhile."""
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6) as packed:
        shutil.copyfileobj(io.BufferedReader(Packed(bag, name)), packed)


def _own(desk: Desk, held: Held) -> Path | None:
    """The bag, where it is one of this machine's incidents, valid, and the one whose hash the order names.

    The queue may be in the cluster: what it says is a path is not believed.
    """
    ended = held.status.ended
    assert ended is not None
    bag = Path(ended.bundle)
    if bag.parent != desk.settings.home / "incidents" / held.status.incident / "bags" or "/" in held.status.incident or not bag.name.isdecimal():
        return None
    try:
        sealed = hashlib.sha256((bag / _TAGS).read_bytes()).hexdigest()
    except OSError:
        return None
    return bag if sealed == ended.manifest and verify(bag).valid else None


def _not(desk: Desk, held: Held, why: str) -> str:
    desk.log("bag-not-uploaded", level="warning", order=held.order.id, incident=held.status.incident, why=why)
    return ""
