"""Whether an image is signed by whom the settings name (cosign)."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import IrkitError
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.ports import Observed
from irkit.text import printable


class Signed(msgspec.Struct, frozen=True):
    """Holds where the signature was verified; not known where that could not be tried."""

    image: str

    name = "signed"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        image = printable(self.image, 200)
        try:
            found = seen.outward.signed(self.image) if seen.outward else None
        except IrkitError as error:
            return CheckResult(check=self.name, holds=None, summary=f"the signature of {image} was not checked: {error.message}")
        if found is None:
            return CheckResult(check=self.name, holds=None, summary=f"the signature of {image} was not checked: cosign is not on this machine")
        if found.why_not:
            return CheckResult(check=self.name, holds=False, summary=f"{image} is not signed by {found.by}: {found.why_not}",
                               data={"next": "an image that is signed as the settings want (recovery.signature)"})  # fmt: skip
        return CheckResult(check=self.name, holds=True, summary=f"{image} is signed by {found.by}")
