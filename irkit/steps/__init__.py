"""The step kinds. A new one is one new file and one entry in `KINDS`."""

from __future__ import annotations

from irkit.steps.base import Step
from irkit.steps.collect import Collect
from irkit.steps.cordon import Cordon
from irkit.steps.manual import Manual
from irkit.steps.notify import Notify
from irkit.steps.quarantine import Quarantine
from irkit.steps.quarantine_pods import QuarantinePods
from irkit.steps.redeploy import Redeploy
from irkit.steps.rotate import Rotate
from irkit.steps.scale_down import ScaleDown
from irkit.steps.verify import Verify

KINDS: tuple[type[Step], ...] = (Quarantine, QuarantinePods, Cordon, Collect, ScaleDown, Rotate, Redeploy, Verify, Notify, Manual)


def find(kind: str) -> type[Step]:
    """The step kind of that name. Raises KeyError: the loader has refused unknown kinds before."""
    return {step.kind: step for step in KINDS}[kind]
