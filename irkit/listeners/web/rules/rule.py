"""A rule: which alerts, what is ordered then, and how often at most."""

from __future__ import annotations

import functools
import re

from irkit.model.alert import LEVELS, Alert, Level
from irkit.model.kube import Value
from irkit.model.order import Command, Needs


@functools.lru_cache(maxsize=4096)
def _compiled(glob: str) -> re.Pattern[str]:
    """``*`` and ``?`` alone have a meaning. Stars in a row are one, and each is lazy up to what follows it: no back-tracking."""
    parts = [".".join(map(re.escape, part.split("?"))) for part in re.sub(r"\*+", "*", glob).split("*")]
    if len(parts) == 1:
        return re.compile(parts[0], re.DOTALL)
    first, *middle, last = parts
    lazy = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{lazy}.*{last}", re.DOTALL)


def fits(text: str, globs: tuple[str, ...]) -> bool:
    """Whether one of the globs fits the whole text; where there is no glob, anything does."""
    return not globs or any(_compiled(glob).fullmatch(text) for glob in globs)


class Match(Value, frozen=True):
    """All that is written must hold; what is not written holds."""

    sources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # globs
    level: Level = "unknown"  # at least
    namespaces: tuple[str, ...] = ()  # globs
    pods: tuple[str, ...] = ()  # globs; of a workload's name where the alert names no pod
    labels: dict[str, str] = {}  # each equal

    def holds(self, alert: Alert) -> bool:
        return (
            (not self.sources or alert.source in self.sources)
            and LEVELS.index(alert.severity) >= LEVELS.index(self.level)
            and fits(alert.name, self.names)
            and fits(alert.namespace, self.namespaces)
            and fits(alert.pod or alert.workload.rpartition("/")[2], self.pods)
            and all(alert.labels.get(key) == value for key, value in self.labels.items())
        )


class Run(Value, frozen=True):
    """What is ordered. ``target`` and the values of ``parameters`` may hold ``${alert.…}``."""

    command: Command
    playbook: str = ""  # of command respond
    takes: str = "pod"  # the type of the playbook's target
    phase: str = ""
    target: str = ""  # empty: what the alert is about
    parameters: dict[str, str] = {}
    take: tuple[str, ...] = ()  # kinds of evidence


class Limits(Value, frozen=True):
    per_hour: int
    percent: int = 0  # of a workload's pods; 0: any number
    never: tuple[str, ...] = ()  # globs of namespaces


class Rule(Value, frozen=True):
    name: str
    match: Match
    run: Run
    limits: Limits
    window: float  # seconds in which alerts for one target are one
    cool_down: float = 0.0  # seconds after an order is over until there is another one for its target
    approval: Needs | None = None  # None: as the playbook says
    approvers: tuple[str, ...] = ()
    dry_run: bool = False
