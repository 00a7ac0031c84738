"""The whole of a rehearsal cluster as one number: the same for the same world, byte for byte."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

import msgspec

from irkit.sandbox.logs import Logs
from irkit.sandbox.store import Store
from irkit.sandbox.vault import Vault


def digest(store: Store, vault: Vault, logs: Logs) -> str:
    """SHA-256 in hex over canonical JSON of all objects, the Vault's entries, the database's logins, and logs.

    What lets somebody in (tokens, secret ids) is none of the world: it is new in each.
    """
    summed, encoder = hashlib.sha256(), msgspec.json.Encoder(order="deterministic")
    for part in _parts(store, vault, logs):
        summed.update(encoder.encode(part) + b"\n")
    return summed.hexdigest()


def _parts(store: Store, vault: Vault, logs: Logs) -> Iterator[object]:
    yield from sorted(((*served.id, obj["metadata"].get("namespace", ""), obj["metadata"]["name"], obj) for served, obj in store.everything()),
                      key=lambda part: part[:-1])  # fmt: skip
    vault.sweep()
    for mount, engine in sorted(vault.mounts.items()):
        yield mount, {name: _plain(value) for name, value in vars(engine).items() if name in ("_entries", "_connections", "_static", "_dynamic")}
    yield vault.policies
    yield vault.logins.all()
    for uid, container, runs in logs.all():
        yield uid, container
        for run in runs:
            yield from ((line.time, line.text.hex()) for line in run())


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value
