"""Everything on record of one incident, read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from irkit.engine import journal, rotated
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.errors import EvidenceError, UsageError
from irkit.evidence import show, verify
from irkit.evidence.manifests import Unusable, open_regular
from irkit.evidence.show import BagContents
from irkit.model.changes import Change, Notify, Patch
from irkit.model.kube import PODS, at
from irkit.model.outcome import Done, Outcome, Skipped
from irkit.model.record import Line, Ran
from irkit.settings import Settings

_LARGEST = 1 << 24  # bytes of a blast radius
_RADIUS = re.compile(r"(?:.*/)?(?:credentials|blast-radius)\.json")


@dataclass(frozen=True)
class Record:
    state: State
    lines: tuple[Line, ...]
    directory: Path  # of the bags
    settings: Settings

    @classmethod
    def of(cls, settings: Settings, identifier: str) -> Record:
        """Raises UsageError, EvidenceError."""
        home = Home(settings.home)
        state = home.load(identifier)
        return cls(state, journal.read(home.journal(identifier)).lines, home.directory(identifier) / "bags", settings)

    @cached_property
    def bags(self) -> list[tuple[Path, BagContents | None]]:
        """The sealed bags; None for one that can't be read."""
        found: list[tuple[Path, BagContents | None]] = []
        for number in range(1, len(self.state.bags) + 1):
            path = self.directory / str(number)
            try:
                found.append((path, show.contents(path)))
            except (UsageError, EvidenceError):
                found.append((path, None))
        return found

    @cached_property
    def reports(self) -> dict[Path, verify.BagReport]:
        return {path: verify.verify(path) for path, contents in self.bags if contents is not None}

    @cached_property
    def runs(self) -> dict[str, Ran]:
        """How each invocation began."""
        return {r.run: r for r in self.state.runs if r.event == "start"}

    def by(self, run: str) -> str:
        """Who ran irkit then."""
        began = self.runs.get(run)
        return str(began.data.get("operator") or self.state.incident.operator.name) if began else self.state.incident.operator.name

    def outcomes(self) -> Iterator[tuple[str, Change, Outcome, str]]:
        """When, what, what became of it, and in which run; in the order of their intents."""
        for call, intent in self.state.intents.items():
            outcome = self.state.results.get(call)
            if outcome is not None:
                yield self.state.times[call], intent.change, outcome, intent.run

    def patched(self, *actions: str, pod: bool = False) -> list[tuple[str, Patch]]:
        """Patches of irkit that were done: of the suspect pod, or of anything else."""
        return [(when, c) for when, c, o, _ in self.outcomes()
                if isinstance(c, Patch) and isinstance(o, Done) and c.action in actions and (c.ref.resource == PODS) == pod]  # fmt: skip

    @cached_property
    def undelivered(self) -> list[str]:
        """Why somebody was not told, of those who never were."""
        told = {c.to for _, c, o, _ in self.outcomes() if isinstance(c, Notify) and isinstance(o, Done)}
        lost = {c.to: o.why for _, c, o, _ in self.outcomes() if isinstance(c, Notify) and isinstance(o, Skipped)}
        return [why for to, why in lost.items() if to not in told]

    @cached_property
    def radius(self) -> list[dict[str, Any]]:
        """The BlastRadius documents of the bags: the suspect's last one; where there is none, every pod's last one."""
        suspect, found = self.state.incident.target.pod.uid, dict[str, dict[str, Any]]()
        for path, contents in self.bags:
            for entry in contents.entries if contents else ():
                if _RADIUS.fullmatch(entry.path) and (document := _document(path / "data" / entry.path)):
                    uid = at(document, ("target", "uid"), "")
                    found[uid if isinstance(uid, str) else ""] = document
        return [found[suspect]] if suspect in found else list(found.values())

    @cached_property
    def credentials(self) -> list[dict[str, Any]]:
        return rotated.documents(self.state)


def _document(path: Path) -> dict[str, Any] | None:
    try:
        with open_regular(path) as stream:
            found = msgspec.json.decode(stream.read(_LARGEST))
    except (OSError, Unusable, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("kind") == "BlastRadius" else None
