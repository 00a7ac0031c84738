"""Whether an image has known vulnerabilities that the settings do not allow: by a scanner on this machine, else by reports in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, IrkitError, NotFoundError
from irkit.model.image import SEVERITIES, Scan, parse
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, Resource, at
from irkit.ports import Observed
from irkit.text import plural, printable

REPORTS = Resource("aquasecurity.github.io", "v1alpha1", "vulnerabilityreports", "VulnerabilityReport")
"""What Trivy's operator writes, one for each container of a workload, in its namespace."""
_SHOWN = 20


class Scanned(msgspec.Struct, frozen=True):
    """Holds where nothing was found of the severity that blocks, or a worse one, besides ``accept``. Not scanned is not known."""

    image: str
    accept: tuple[str, ...] = ()

    name = "scanned"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        image = printable(self.image, 200)
        try:
            scan = (seen.outward.scan(self.image) if seen.outward else None) or _reported(self.image, ref, seen)
        except IrkitError as error:
            return CheckResult(check=self.name, holds=None, summary=f"{image} was not scanned: {error.message}")
        if scan is None:
            return CheckResult(check=self.name, holds=None, summary=f"{image} was not scanned: no scanner (trivy) is on this machine, "
                                                                    "and no report about it in the cluster")  # fmt: skip
        rules = seen.settings.recovery
        blocking, warned = _from(rules.block), _from(rules.warn)
        blocked = sum(scan.of(s, self.accept) for s in blocking)
        counts = {s: n for s in SEVERITIES if (n := scan.of(s))}
        said = ", ".join(f"{n} {s}" for s, n in counts.items()) or "no known vulnerability"
        verdict = f"; {plural(blocked, 'vulnerability')} of severity {rules.block} or worse: it is not deployed" if blocked else ""
        listed = {v.id for s in {*blocking, *warned} for v in scan.found if v.severity == s and v.id not in self.accept}
        data = {"by": scan.by, "counts": counts, "blocked": blocked, "accepted": list(self.accept),
                "next": "an image without them; or, for each that you accept: --accept ID"}  # fmt: skip
        return CheckResult(check=self.name, holds=not blocked, summary=f"{image}, by {scan.by}: {said}{verdict}",
                           findings=tuple(_lines(scan, listed)), data=data)  # fmt: skip


def _from(least: str) -> tuple[str, ...]:
    """The severities that are this bad or worse; none for ``never``."""
    return SEVERITIES[: SEVERITIES.index(least) + 1] if least in SEVERITIES else ()


def _lines(scan: Scan, listed: set[str]) -> Iterator[str]:
    found = sorted((v for v in scan.found if v.id in listed), key=lambda v: (SEVERITIES.index(v.severity) if v.severity in SEVERITIES else 9, v.id))
    for v in found[:_SHOWN]:
        yield printable(f"{v.severity}: {v.id} in {v.package}" + (f", fixed in {v.fixed}" if v.fixed else ", not fixed yet"), 200)
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more"


def _reported(image: str, ref: ObjectRef, seen: Observed) -> Scan | None:
    """The worst report about this digest: whoever may write reports in one namespace could else write a newer one that finds nothing.
    ``by`` names it."""
    digest = parse(image).digest
    found = [r for r in _reports(ref, seen) if digest and digest == at(r, ("report", "artifact", "digest"))]
    if not found:
        return None
    worst = max(found, key=lambda r: [_counts(r).get(s, 0) for s in SEVERITIES])
    return Scan(by=printable(f"VulnerabilityReport {worst['metadata'].get('namespace')}/{worst['metadata'].get('name')}"), counts=_counts(worst))


def _counts(report: Obj) -> dict[str, int]:
    return {s: n for s in SEVERITIES if isinstance(n := at(report, ("report", "summary", f"{s}Count")), int) and n > 0}


def _reports(ref: ObjectRef, seen: Observed) -> list[Obj]:
    try:
        return list(seen.cluster.list(REPORTS, None))
    except NotFoundError:
        return []
    except ForbiddenError:
        pass
    try:
        return list(seen.cluster.list(REPORTS, ref.namespace))
    except (ForbiddenError, NotFoundError):
        return []
