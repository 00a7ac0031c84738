"""The queue of orders on this machine: ``$IRKIT_HOME/orders``, one file each, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from irkit.errors import ConflictError, QueueFullError, RefusedError, UsageError
from irkit.model.order import Held, Order, Status, sound
from irkit.text import plural, printable

_ENDING = ".json"


class OrderFiles:
    """Raises RefusedError where the directory can't be written."""

    where = "this machine"

    def __init__(self, directory: Path, most: int) -> None:
        """``most``: orders that may be open at once."""
        self._directory, self._most = directory, most

    def add(self, order: Order, status: Status) -> Held | None:
        held = Held(order=order, status=status, version="1")
        with self._locked():
            if self._path(order.id).exists():
                return None
            if sum(not h.status.over for h in self.list()) >= self._most:
                raise QueueFullError(f"{plural(self._most, 'order')} are open already; this one was not taken")
            self._write(held)
        return held

    def get(self, identifier: str) -> Held:
        found = self._read(self._path(identifier)) if identifier.isalnum() else None
        if found is None:
            raise UsageError(f"there is no order {printable(identifier)} on {self.where}", next="irkit order list")
        return found

    def list(self) -> Sequence[Held]:
        found = [held for path in self._directory.glob(f"*{_ENDING}") if (held := self._read(path)) is not None]
        return sorted(found, key=lambda h: (h.order.created, h.order.id))

    def update(self, held: Held, status: Status) -> Held:
        with self._locked():
            current = self._read(self._path(held.order.id))
            if current is None or current.version != held.version:
                raise ConflictError(f"order {held.order.id} was changed meanwhile", status=409, reason="Conflict")
            changed = msgspec.structs.replace(held, status=status, version=str(int(held.version) + 1))
            self._write(changed)
        return changed

    def remove(self, held: Held) -> None:
        with self._locked():
            self._path(held.order.id).unlink(missing_ok=True)

    def _path(self, identifier: str) -> Path:
        return self._directory / f"{identifier}{_ENDING}"

    def _read(self, path: Path) -> Held | None:
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Held)
        except (OSError, msgspec.DecodeError):
            return None
        return found if sound(found) and found.order.id == path.stem and found.version.isdecimal() else None

    def _write(self, held: Held) -> None:
        path = self._path(held.order.id)
        new = path.with_suffix(".new")
        with suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(held))
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Between processes; ends with whichever holds it."""
        try:
            self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RefusedError(f"{printable(self._directory)} can't be written: {error.strerror}; nothing was ordered",
                               next="set IRKIT_HOME to a directory that can be written") from None  # fmt: skip
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
