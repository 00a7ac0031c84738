"""What a step is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol, runtime_checkable

from irkit.model.changes import Change
from irkit.model.incident import Incident
from irkit.model.plan import Confirm
from irkit.ports import Observed


@runtime_checkable
class Step(Protocol):
    """A wished end state. A frozen dataclass whose fields are its parameters and whose docstring starts "End state:".

    A field's type says what a playbook may write there (model/arguments.py): ``Pod``, ``Pods``, ``Workload``, ``str``,
    ``int``, ``bool``, ``tuple[str, ...]``, ``Literal[...]``; its default makes it optional.

    Two more may be there. ``fallback(incident, seen) -> (changes, next)`` is what is left to do, asked about first, and to
    say where the end state was not reached (5). ``reads`` are rights that only what comes after the step needs.
    """

    kind: ClassVar[str]
    confirm: ClassVar[Confirm]  # whether it is asked about when the playbook does not say

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        """The changes that are missing now. Reads only; raises IrkitError where the end state can't be wished for."""

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        """What people should know before they say yes: outages, reverters, what stays open."""
