"""Bring a workload back with an image that is not the compromised one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from irkit import reverters, workloads
from irkit.errors import NotFoundError, RefusedError, UsageError
from irkit.model.arguments import Workload
from irkit.model.changes import Ask, Await, Capture, Change, Check, Patch
from irkit.model.evidence import VITAL
from irkit.model.image import Image, digest_of, parse
from irkit.model.incident import Incident
from irkit.model.kube import PODS, Permission, at, is_ready, permission
from irkit.model.plan import Confirm
from irkit.ports import Observed, exists
from irkit.text import printable
from irkit.workloads import template


@dataclass(frozen=True, slots=True)
class Redeploy:
    """End state: ``workload`` runs ``image``, with as many pods as before the incident, all ready; what was paused goes on.

    The image is pinned by digest, judged before it is put anywhere, and is not the one that was compromised, unless
    ``same_image`` says why. ``container`` names the one that gets it; without it, all that run an image of its repository.
    Vulnerabilities in ``accept`` do not block. Pods that a rollout ends are collected first, unless ``without_evidence``
    says why not.
    """

    kind: ClassVar[str] = "redeploy"
    confirm: ClassVar[Confirm] = "ask"

    workload: Workload
    image: str
    container: str = ""
    accept: tuple[str, ...] = ()
    same_image: str = ""
    without_evidence: str = ""

    def plan(self, incident: Incident, seen: Observed) -> Iterator[Change]:
        image, workload = self._wanted(incident), self._workload(seen)
        if not template.changeable(self.workload):
            yield from self._by_hand(seen)
            return
        names = template.chosen(self.workload, workload.object, self.image, self.container)
        patch = template.redeploy(workload, self.image, names)
        if patch is not None:
            yield from self._judged(image, seen)
            yield from (Capture(pod=p, take=VITAL) for p in patch.ends if not self.without_evidence and p.uid not in seen.captured)
            yield patch
        before, after = self._undoing(incident, seen)
        yield from before
        if patch is not None or before or not workload.ready():
            yield Await(condition="ready", ref=self.workload)
        gits = [r.name for r in reverters.find_all(self.workload, workload.object, seen.cluster) if r.git] if after else []
        if gits:
            yield from self._check("in-git", "", seen, {"image": self.image, "containers": list(names), "by": gits}, stops=True)
        yield from after
        yield from self._check("steady", "", seen, {"first": True})

    def notes(self, incident: Incident, seen: Observed) -> Iterator[str]:
        workload = self._workload(seen)
        if not template.changeable(self.workload):
            return
        for container in template.containers(self.workload, workload.object):
            if container["name"] not in template.chosen(self.workload, workload.object, self.image, self.container):
                yield printable(f"container {container['name']} goes on with {container.get('image')}", 400)
        if at(workload.object, ("spec", "paused")):
            yield f"{self.workload} is paused (spec.paused): it starts no pods with a new image until that is taken back"
        strategy = at(workload.object, ("spec", "updateStrategy")) or {}
        if strategy.get("type") == "OnDelete" or at(strategy, ("rollingUpdate", "partition"), 0):
            yield f"{self.workload} replaces not all pods by itself (updateStrategy): those that are left keep their image until they are deleted"
        for reverter in reverters.find_all(self.workload, workload.object, seen.cluster):
            if reverter.git:
                yield f"{reverter.name} brings back the image that stands in Git: change it there too, or this redeployment is undone"

    def fallback(self, incident: Incident, seen: Observed) -> tuple[Sequence[Change], str]:
        """Where it does not come up and nothing of it serves, it is stopped again; the former image comes back only by a human's word."""
        former = next((c.image_id for c in incident.target.containers if digest_of(c.image_id)), "")
        again = f"irkit redeploy {incident.id} --image ANOTHER@sha256:…"
        if former:
            again += f"   (back to the former image, if you must: --image {printable(former)} --same-image REASON)"
        workload = self._workload(seen)
        pods = workloads.active(workload.pods)
        if any(is_ready(p) for p in pods):
            return (), again
        stop = tuple(workload.stop())
        ending = [p for c in stop for p in c.ends if p.uid not in seen.captured]
        return (*(Capture(pod=p, take=VITAL) for p in ending), *stop, *([Await(condition="no-pods", ref=self.workload)] if stop else [])), again

    @property
    def reads(self) -> tuple[Permission, ...]:
        """What the verification after it reads besides: where else the old image runs."""
        return (permission("list", PODS),)

    def _wanted(self, incident: Incident) -> Image:
        """Raises UsageError where the image is not pinned, RefusedError where it is the compromised one."""
        image = parse(self.image)
        if not image.digest:
            raise UsageError(f"{printable(self.image, 120)} is not pinned by digest: a tag may be another image tomorrow",
                             next=f"irkit redeploy {self.workload.name} -n {self.workload.namespace} --image {printable(self.image, 120)}   "
                                  "shows what the tag names now")  # fmt: skip
        compromised = {d for c in incident.target.containers for d in (digest_of(c.image_id), digest_of(c.image)) if d}
        if image.digest in compromised and not self.same_image:
            raise RefusedError(f"{printable(self.image)} is the image of {incident.target.pod}, which this incident is about; it is not put back",
                               next="another image; or, if only the pod was compromised and not its image: --same-image REASON")  # fmt: skip
        return image

    def _workload(self, seen: Observed) -> workloads.Workload:
        try:
            return workloads.observe(self.workload, seen.cluster)
        except NotFoundError as error:
            raise UsageError(f"{error.message}: it can't be redeployed", next="deploy it from its source, then: irkit verify") from None

    def _by_hand(self, seen: Observed) -> Iterator[Change]:
        """A Job's template can't be changed, a bare pod has none: whatever made it makes it anew."""
        ask = Ask(instruction=f"deploy {self.workload} from its source with image {printable(self.image)}: irkit can't give a {self.workload.kind} "
                              "another image", step=seen.step)  # fmt: skip
        if ask.mark not in seen.marks:
            yield ask

    def _judged(self, image: Image, seen: Observed) -> Iterator[Change]:
        yield from self._check("scanned", image.written, seen, {"image": self.image, "accept": list(self.accept)}, stops=True)
        signature = seen.settings.recovery.signature
        if signature.key or signature.identity:
            yield from self._check("signed", image.written, seen, {"image": self.image}, stops=True)

    def _check(self, name: str, about: str, seen: Observed, given: dict[str, object], *, stops: bool = False) -> Iterator[Check]:
        check = Check(check=name, ref=self.workload, step=seen.step, run=seen.run, about=about, given=given, stops=stops)
        if check.mark not in seen.marks:
            yield check

    def _undoing(self, incident: Incident, seen: Observed) -> tuple[list[Patch], list[Patch]]:
        """What puts back the recorded replicas, and then what lets the reverters go on: only fields that nobody else has changed since.

        The Jobs of a CronJob stay suspended: they were made with the old image, and would run it.
        """
        patches = [c for c in reversed(seen.begun) if isinstance(c, Patch) and not c.forward and not c.ref.same(incident.target.pod)]
        patches = [p for p in patches if workloads.kind_of(p.ref.resource) is None or p.ref.same(self.workload)]
        last = max((n for n, p in enumerate(patches) if p.ref.same(self.workload)), default=-1)
        back = [_restoring(p, seen) for p in patches]
        return [p for p in back[: last + 1] if p], [p for p in back[last + 1 :] if p]


def _restoring(patch: Patch, seen: Observed) -> Patch | None:
    """What takes a change of ours back, also where a run that was killed has done so: only its outcome on record says that it is no more."""
    current = exists(seen.cluster, patch.ref)
    if current is None:
        return None
    inverse = patch.inverse
    theirs = inverse.conflicts(current)
    ours = tuple(e for e in inverse.edits if e not in theirs)
    inverse = msgspec.structs.replace(inverse, edits=ours, restores=True)
    return inverse if ours else None
