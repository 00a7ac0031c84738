"""What the API server refuses (`apimachinery/pkg/api/validation` and each kind's own), as far as irkit could run into it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from irkit.model.kube import Obj, at, selects
from irkit.sandbox import cron, limits
from irkit.sandbox.catalog import Served
from irkit.sandbox.failures import Cause

_LABEL_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_LABEL_NAME}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_LABEL_VALUE}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_ANNOTATIONS_LIMIT = 256 * 1024
_LABEL_NAMED = {"Namespace", "Service"}
_PATH_NAMED = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
_POD_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_LISTS = {"Pod": (("status", "conditions"), ("status", "containerStatuses")), "Node": (("status", "conditions"),),
          "EndpointSlice": (("endpoints",),)}  # fmt: skip
_STATEFUL_FREE = {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
                  "minReadySeconds"}  # fmt: skip
_STATEFUL_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def creating(served: Served, obj: Obj) -> list[Cause]:
    """What is wrong with a new object. Raises TypeError where what everybody reads can't be read."""
    _legible(obj)
    return [*_meta(served, obj), *_kind(obj)]


def updating(served: Served, old: Obj, new: Obj) -> list[Cause]:
    """What is wrong with ``new`` as the next state of ``old``. Raises TypeError where what everybody reads can't be read."""
    _legible(new)
    return [*_immutable_meta(old, new), *_meta(served, new), *_kind(new), *_immutable(old, new)]


def _legible(obj: Obj) -> None:
    """There are no schemas: of what every reader of such objects goes through, the types are looked at here."""
    for path in (("metadata", "ownerReferences"), *_LISTS.get(obj["kind"], ())):
        found = at(obj, path, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise TypeError(".".join(path))
    if not all(isinstance(name, str) for name in at(obj, ("metadata", "finalizers"), [])):
        raise TypeError("metadata.finalizers")
    if obj["kind"] == "Pod" and not all(isinstance(s.get("restartCount", 0), int) for s in at(obj, ("status", "containerStatuses"), [])):
        raise TypeError("status.containerStatuses.restartCount")


def _quoted(value: Any) -> str:
    if isinstance(value, dict):
        return msgspec.json.encode(value, order="sorted").decode()
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _wrong(field: str, value: Any, why: str) -> Cause:
    return Cause(field, f"Invalid value: {_quoted(value)}: {why}")


def _required(field: str, why: str = "") -> Cause:
    return Cause(field, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def _forbidden(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def _meta(served: Served, obj: Obj) -> Iterator[Cause]:
    meta = obj["metadata"]
    name = meta.get("name") or ""
    if not name:
        yield _required("metadata.name", "name or generateName is required")
        return
    if served.resource.kind in _PATH_NAMED:
        if name in (".", "..") or "/" in name or "%" in name:
            yield _wrong("metadata.name", name, "may not contain '/' or '%'")
    elif served.resource.kind in _LABEL_NAMED:
        if not re.fullmatch(_LABEL, name) or len(name) > 63:
            yield _wrong("metadata.name", name, _LABEL_TEXT if len(name) <= 63 else "must be no more than 63 characters")
    elif not re.fullmatch(_SUBDOMAIN, name) or len(name) > 253:
        yield _wrong("metadata.name", name, _SUBDOMAIN_TEXT if len(name) <= 253 else "must be no more than 253 characters")
    yield from _labels(meta.get("labels") or {}, "metadata.labels")
    annotations = meta.get("annotations") or {}
    for key in annotations:
        yield from _key(key.lower(), "metadata.annotations")
    if sum(len(k) + len(str(v)) for k, v in annotations.items()) > _ANNOTATIONS_LIMIT:
        yield Cause("metadata.annotations", f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes", "FieldValueTooLong")


def _labels(labels: Obj, field: str) -> Iterator[Cause]:
    for key, value in sorted(labels.items()):
        yield from _key(key, field)
        if len(str(value)) > 63:
            yield _wrong(field, value, "must be no more than 63 bytes")
        elif not re.fullmatch(_LABEL_VALUE, str(value)):
            yield _wrong(field, value, _VALUE_TEXT)


def _key(key: str, field: str) -> Iterator[Cause]:
    prefix, slash, name = key.partition("/")
    if "/" in name:
        whole = _NAME_TEXT.replace("name part must", "a valid label key must", 1)
        yield _wrong(field, key, f"{whole} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
        return
    prefix, name = (prefix, name) if slash else ("", prefix)
    if slash and not prefix:
        yield _wrong(field, key, "prefix part must be non-empty")
    elif slash and not re.fullmatch(_SUBDOMAIN, prefix):
        yield _wrong(field, key, f"prefix part {_SUBDOMAIN_TEXT}")
    if not name:
        yield _wrong(field, key, "name part must be non-empty")
    if not re.fullmatch(_LABEL_NAME, name):
        yield _wrong(field, key, _NAME_TEXT)
    elif len(name) > 63:
        yield _wrong(field, key, "name part must be no more than 63 bytes")


def _immutable_meta(old: Obj, new: Obj) -> Iterator[Cause]:
    """Twice, as both rest.BeforeUpdate and each kind's own validation look at it."""
    if (found := new["metadata"].get("uid")) != old["metadata"]["uid"]:
        yield from 2 * [_wrong("metadata.uid", found or "", "field is immutable")]


def _kind(obj: Obj) -> Iterator[Cause]:
    kind, spec = obj["kind"], obj.get("spec") or {}
    if kind == "Pod":
        yield from _containers(spec, "spec")
    elif kind == "NetworkPolicy":
        yield from _policy(spec)
    elif kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"):
        yield from _workload(spec)
    elif kind == "Job":
        yield from _containers(at(spec, ("template", "spec"), {}), "spec.template.spec")
    elif kind == "CronJob":
        yield from _cron_job(spec)
    elif kind == "HorizontalPodAutoscaler":
        yield from limits.autoscaler(spec)
    elif kind == "PodDisruptionBudget":
        yield from limits.budget(spec)
        yield from _selector(spec.get("selector") or {}, "spec.selector")


def _cron_job(spec: Obj) -> Iterator[Cause]:
    """validateCronJobSpec of pkg/apis/batch."""
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if "TZ" in schedule:
        yield _wrong("spec.schedule", schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    elif schedule:
        yield from _read("spec.schedule", schedule, cron.parse)
    else:
        yield _required("spec.schedule")
    if zone is not None:
        yield from _read("spec.timeZone", zone, cron.zone_of)
    policy = spec["concurrencyPolicy"]
    if policy not in ("Allow", "Forbid", "Replace"):
        why = f'Unsupported value: {_quoted(policy)}: supported values: "Allow", "Forbid", "Replace"'
        yield Cause("spec.concurrencyPolicy", why, "FieldValueNotSupported")
    yield from _containers(at(spec, ("jobTemplate", "spec", "template", "spec"), {}), "spec.jobTemplate.spec.template.spec")


def _read(field: str, value: str, reader: Callable[[str], object]) -> Iterator[Cause]:
    try:
        reader(value)
    except ValueError as error:
        yield _wrong(field, value, str(error))


def _containers(spec: Obj, field: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield _required(f"{field}.containers")
    for n, container in enumerate(spec.get("containers") or ()):
        if not container.get("name"):
            yield _required(f"{field}.containers[{n}].name")
        if not container.get("image"):
            yield _required(f"{field}.containers[{n}].image")


def _workload(spec: Obj) -> Iterator[Cause]:
    replicas = spec.get("replicas")
    if isinstance(replicas, int) and replicas < 0:
        yield Cause("spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
    selector, template = spec.get("selector"), spec.get("template") or {}
    if selector is None:
        yield _required("spec.selector")
    else:
        yield from _selector(selector, "spec.selector")
        labels = at(template, ("metadata", "labels"), {})
        if not selects(selector, labels):
            yield _wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _labels(at(template, ("metadata", "labels"), {}), "spec.template.labels")
    yield from _containers(template.get("spec") or {}, "spec.template.spec")


def _selector(selector: Obj, field: str) -> Iterator[Cause]:
    yield from _labels(selector.get("matchLabels") or {}, f"{field}.matchLabels")
    for n, requirement in enumerate(selector.get("matchExpressions") or ()):
        where, operator, values = f"{field}.matchExpressions[{n}]", requirement.get("operator"), requirement.get("values") or []
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            yield _wrong(f"{where}.operator", operator, "not a valid selector operator")
        elif operator in ("In", "NotIn") and not values:
            yield _required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist") and values:
            yield _forbidden(f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        yield from _key(requirement.get("key", ""), f"{where}.key")


def _policy(spec: Obj) -> Iterator[Cause]:
    yield from _selector(spec.get("podSelector") or {}, "spec.podSelector")
    for n, name in enumerate(spec.get("policyTypes") or ()):
        if name not in ("Ingress", "Egress"):
            why = f'Unsupported value: {_quoted(name)}: supported values: "Ingress", "Egress"'
            yield Cause(f"spec.policyTypes[{n}]", why, "FieldValueNotSupported")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for n, rule in enumerate(spec.get(direction) or ()):
            where = f"spec.{direction}[{n}]"
            for m, peer in enumerate(rule.get(peers) or ()):
                yield from _peer(peer, f"{where}.{peers}[{m}]")
            for m, port in enumerate(rule.get("ports") or ()):
                if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
                    why = f'Unsupported value: {_quoted(port.get("protocol"))}: supported values: "SCTP", "TCP", "UDP"'
                    yield Cause(f"{where}.ports[{m}].protocol", why, "FieldValueNotSupported")


def _peer(peer: Obj, where: str) -> Iterator[Cause]:
    if not peer:
        yield _required(where, "must specify a peer")
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            yield from _selector(peer[name], f"{where}.{name}")
    if block := peer.get("ipBlock"):
        if len(peer) > 1:
            yield _forbidden(where, "may not specify both ipBlock and another peer")
        try:
            ipaddress.ip_network(block.get("cidr", ""), strict=False)
        except ValueError:
            yield _wrong(f"{where}.ipBlock.cidr", block.get("cidr", ""), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")


def _immutable(old: Obj, new: Obj) -> Iterator[Cause]:
    kind, before, after = new["kind"], old.get("spec") or {}, new.get("spec") or {}
    if kind == "Pod" and _fixed(before) != _fixed(after):
        yield _forbidden("spec", _POD_TEXT)
    elif kind in ("Deployment", "ReplicaSet", "DaemonSet", "Job") and before.get("selector") != after.get("selector"):
        yield _wrong("spec.selector", after.get("selector"), "field is immutable")
    elif kind == "StatefulSet":
        if any(before.get(key) != after.get(key) for key in {*before, *after} - _STATEFUL_FREE):
            yield _forbidden("spec", _STATEFUL_TEXT)
    elif kind in ("Secret", "ConfigMap"):
        yield from _settled(old, new)
    if kind == "Job" and not before.get("suspend") and at(before, ("template", "spec")) != at(after, ("template", "spec")):
        yield _wrong("spec.template", "", "field is immutable")


def _settled(old: Obj, new: Obj) -> Iterator[Cause]:
    """ValidateSecretUpdate, ValidateConfigMapUpdate: what was made immutable stays so, and as it is."""
    if new["kind"] == "Secret" and old.get("type") != new.get("type"):
        yield _wrong("type", new.get("type"), "field is immutable")
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield _forbidden("immutable", "field is immutable when `immutable` is set")
    for field in ("data", "binaryData"):
        if (old.get(field) or {}) != (new.get(field) or {}):
            yield _forbidden(field, "field is immutable when `immutable` is set")


def _fixed(spec: Obj) -> Obj:
    """The part of a pod's spec that no update may change."""
    kept = {k: v for k, v in spec.items() if k not in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")}
    for field in ("containers", "initContainers"):
        if isinstance(kept.get(field), list):
            kept[field] = [{k: v for k, v in c.items() if k != "image"} for c in kept[field]]
    return kept
