"""Whether a workload and its pods run the image that was wished for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from irkit import workloads
from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, NotFoundError, UsageError
from irkit.model.image import digest_of, running
from irkit.model.incident import Incident
from irkit.model.kube import Obj, ObjectRef, at
from irkit.model.managers import managers_of
from irkit.ports import Observed
from irkit.text import plural, printable
from irkit.workloads.template import containers


class AsWished(msgspec.Struct, frozen=True):
    """Holds where template and pods name ``images`` (by container). A digest that a node reports otherwise is only said: of an
    image for several platforms it may be that of one of them."""

    images: dict[str, str]

    name = "image"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            workload = workloads.observe(ref, seen.cluster)
            pods = workloads.active(workload.pods)
            template = containers(ref, workload.object)
        except NotFoundError:
            return CheckResult(check=self.name, holds=False, summary=f"{ref} is gone")
        except (ForbiddenError, UsageError) as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known which image {ref} runs: {error.message}")
        have = {str(c["name"]): str(c.get("image", "")) for c in template}
        other = [f"{name} of {ref} is {have.get(name, 'gone')}, not {image}{_by(workload.object)}"
                 for name, image in self.images.items() if have.get(name) != image]  # fmt: skip
        other += [line for p in pods for line in self._of_pod(p)]
        said = [line for p in pods for line in self._reported(p)]
        what = printable(", ".join(self.images.values()), 300)
        text = f"{ref} does not run {what} everywhere" if other else f"{ref} runs {what}: {plural(len(pods), 'pod')}"
        return CheckResult(check=self.name, holds=not other, summary=text, findings=tuple(printable(line, 400) for line in (*other, *said)))

    def _of_pod(self, pod: Obj) -> Iterator[str]:
        for name, image, _ in running(pod):
            if name in self.images and image != self.images[name]:
                yield f"{at(pod, ('metadata', 'name'))}/{name} runs {image}"

    def _reported(self, pod: Obj) -> Iterator[str]:
        for name, _, identity in running(pod):
            digest = digest_of(identity) if "@" in identity else ""
            if name in self.images and digest and digest != digest_of(self.images[name]):
                yield f"the node of {at(pod, ('metadata', 'name'))} reports {digest} for {name}: one platform's part of the image, or another image"


def _by(obj: Obj) -> str:
    others = [m for m in managers_of(obj, ("spec", "template", "spec", "containers")) if m.name != "irkit"]
    return f"; the last to write besides irkit was {max(others, key=lambda m: m.time).name}" if others else ""
