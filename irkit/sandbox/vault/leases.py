"""Leases: what ends by itself, and what ends when it is revoked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from irkit.model.kube import Obj
from irkit.sandbox.names import Names
from irkit.sandbox.vault.kv import listing
from irkit.sandbox.vault.messages import NOTHING, Asked, Now, Refused, Told, stamp, unsupported_path


@dataclass(frozen=True, slots=True)
class _Lease:
    path: str
    token: str = field(repr=False)
    issued: datetime
    expires: datetime
    end: Callable[[], None]


class Leases:
    def __init__(self, names: Names, clock: Now) -> None:
        self._names, self._clock = names, clock
        self._kept: dict[str, _Lease] = {}

    def grant(self, path: str, token: str, lasts: timedelta, end: Callable[[], None]) -> str:
        """The id of a new lease; ``end`` is called once, when it is over."""
        now = self._clock.now()
        lease_id = f"{path}/{self._names.suffix('lease', length=24)}"
        self._kept[lease_id] = _Lease(path, token, now, now + lasts, end)
        return lease_id

    def revoke(self, lease_id: str) -> None:
        lease = self._kept.pop(lease_id, None)
        if lease is not None:
            lease.end()

    def revoke_of(self, token: str) -> None:
        """All that a token was given."""
        for lease_id in [lease_id for lease_id, lease in self._kept.items() if lease.token == token]:
            self.revoke(lease_id)

    def sweep(self) -> None:
        """End what is over by now."""
        now = self._clock.now()
        for lease_id in [lease_id for lease_id, lease in self._kept.items() if lease.expires <= now]:
            self.revoke(lease_id)

    def answer(self, asked: Asked, path: str) -> Told:
        """``sys/leases/…``. Raises Refused."""
        area, _, rest = path.partition("/")
        given = rest or str(asked.body.get("lease_id", ""))
        match area, asked.operation:
            case "lookup", "list":
                return listing(self._kept, rest)
            case "lookup", "update":
                return Told(self._described(given))
            case "revoke", "update":
                if not given:
                    raise Refused(400, "lease_id must be specified")
                self.revoke(given)
                return NOTHING
            case (("revoke-prefix" | "revoke-force"), "update"):
                prefix = f"{rest.rstrip('/')}/"
                for lease_id in [lease_id for lease_id in self._kept if lease_id.startswith(prefix)]:
                    self.revoke(lease_id)
                return NOTHING
        raise unsupported_path()

    def _described(self, lease_id: str) -> Obj:
        lease = self._kept.get(lease_id)
        if lease is None:
            raise Refused(400, "invalid lease")
        left = int((lease.expires - self._clock.now()).total_seconds())
        return {"expire_time": stamp(lease.expires), "id": lease_id, "issue_time": stamp(lease.issued), "last_renewal": None, "path": lease.path,
                "renewable": True, "ttl": left}  # fmt: skip
