"""create, update, patch, apply and delete: admission, defaults, validation, conflicts (staging/src/k8s.io/apiserver)."""

from __future__ import annotations

from typing import Any

from irkit.model.kube import Obj, at
from irkit.sandbox import validation
from irkit.sandbox.api.call import Answer, Call, parse
from irkit.sandbox.catalog import NAMESPACES, PODS, Served
from irkit.sandbox.clock import stamp
from irkit.sandbox.controllers.garbage import terminating
from irkit.sandbox.controllers.owners import terminate
from irkit.sandbox.defaults import complete
from irkit.sandbox.failures import (
    Failure,
    bad_request,
    exists,
    forbidden,
    invalid,
    modified,
    not_found,
    precondition,
)
from irkit.sandbox.patches import fields
from irkit.sandbox.patches.jsonpatch import PatchError, json_patch
from irkit.sandbox.patches.merge import merge
from irkit.sandbox.patches.strategic import strategic_merge
from irkit.sandbox.store import Store

MERGE, STRATEGIC, JSON_PATCH, APPLY = ("application/merge-patch+json", "application/strategic-merge-patch+json",
                                       "application/json-patch+json", "application/apply-patch+yaml")  # fmt: skip
_SET_BY_SERVER = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink", "managedFields")
_RETURNED_WHOLE = {"Pod", "Service", "ServiceAccount", "PersistentVolume", "PersistentVolumeClaim", "ResourceQuota", "Namespace"}


def create(store: Store, served: Served, call: Call) -> Answer:
    body = _checked(served, call, call.document())
    meta = {key: value for key, value in body["metadata"].items() if key not in _SET_BY_SERVER}
    if meta.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + store.names.suffix("name", call.namespace, meta["generateName"])
    return Answer(served.shown(_insert(store, served, call, {**body, "metadata": meta}, "Update")), 201)


def _insert(store: Store, served: Served, call: Call, body: Obj, operation: str) -> Obj:
    dry_run = call.dry_run()
    meta = {**body["metadata"], **({"namespace": call.namespace} if served.resource.namespaced else {})}
    if "status" in served.subresources:
        body = {**body, "status": {}}
    obj = complete({**body, "metadata": meta})
    with store.changed:
        _admit(store, served, call)
        if causes := validation.creating(served, obj):
            raise invalid(served, obj["metadata"].get("name", ""), causes)
        if store.get(served, meta.get("namespace", ""), meta["name"]) is not None:
            raise exists(served, meta["name"])
        return store.insert(served, obj, manager=call.manager, operation=operation, dry_run=dry_run)


def _admit(store: Store, served: Served, call: Call) -> None:
    """The NamespaceLifecycle plugin."""
    if not served.resource.namespaced:
        return
    namespace = store.get(NAMESPACES, "", call.namespace)
    if namespace is None:
        raise not_found(NAMESPACES, call.namespace)
    if terminating(namespace):
        raise forbidden(served, call.name, f"unable to create new content in namespace {call.namespace} because it is being terminated")


def _checked(served: Served, call: Call, body: Any) -> Obj:
    """The body as an object of this kind and place. Raises Failure 400."""
    resource = served.resource
    if not isinstance(body, dict) or not isinstance(body.get("metadata") or {}, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): not an object")
    kind, version = body.get("kind") or resource.kind, body.get("apiVersion") or resource.api_version
    if (kind, version) != (resource.kind, resource.api_version):
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: unknown conversion')
    meta = body.get("metadata") or {}
    if resource.namespaced and meta.get("namespace") not in (None, "", call.namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return {**body, "kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta}


# update, patch, apply


def modify(store: Store, served: Served, call: Call) -> Answer:
    """PUT and PATCH of an object or of one of its subresources ``status`` and ``ephemeralcontainers``."""
    dry_run = call.dry_run()
    with store.changed:
        current = store.get(served, _where(served, call), call.name)
        if current is None:
            return _create_by_apply(store, served, call)
        if call.method == "PATCH" and call.content_type == APPLY:
            wanted, owned = _applied(store, served, call, current), True
        else:
            wanted, owned = _patched(served, call, current), False
        result = _settled(served, call, current, wanted)
        stored = store.replace(served, result, manager=call.manager, subresource=call.subresource, dry_run=dry_run, owned=owned)
    return Answer(served.shown(stored))


def _create_by_apply(store: Store, served: Served, call: Call) -> Answer:
    if call.method != "PATCH" or call.content_type != APPLY or call.subresource:
        raise not_found(served, call.name)
    _needs_manager(call)
    body = _checked(served, call, call.document())
    meta = {key: value for key, value in body["metadata"].items() if key not in _SET_BY_SERVER}
    return Answer(_insert(store, served, call, {**body, "metadata": {**meta, "name": call.name}}, "Apply"), 201)


def _needs_manager(call: Call) -> None:
    if not call.query.get("fieldManager"):
        cause = {"reason": "FieldValueRequired", "message": "Required value: is required for apply patch", "field": "fieldManager"}
        raise Failure(422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: fieldManager: {cause["message"]}',
                      {"group": "meta.k8s.io", "kind": "PatchOptions", "causes": [cause]})  # fmt: skip


def _applied(store: Store, served: Served, call: Call, current: Obj) -> Obj:
    _needs_manager(call)
    body = complete_applied(_checked(served, call, call.document()))
    try:
        return fields.apply(current, body, manager=call.manager, time=stamp(store.now()), force=call.flag("force"))
    except fields.ApplyConflict as conflict:
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {_owner(entry)}", "field": field} for entry, field in conflict.conflicts
        ]
        listed = ", ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
        noun = "conflict" if len(causes) == 1 else "conflicts"
        raise Failure(409, "Conflict", f"Apply failed with {len(causes)} {noun}: {listed}", {"causes": causes}) from None


def _owner(entry: Obj) -> str:
    """Whose a field is, as printManager of structured-merge's conflicts says it."""
    if entry["operation"] != "Update":
        return f'"{entry["manager"]}"'
    through = f' with subresource "{entry["subresource"]}"' if entry.get("subresource") else ""
    return f'"{entry["manager"]}"{through} using {entry["apiVersion"]}'


def complete_applied(body: Obj) -> Obj:
    """Only the defaults without which keyed lists can't be matched (a port's protocol)."""
    spec = body.get("spec")
    return {**body, "spec": _protocols(spec)} if isinstance(spec, dict) else body


def _protocols(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _protocols(item, key) for key, item in value.items()}
    if isinstance(value, list):
        items = [_protocols(item) for item in value]
        return [{"protocol": "TCP", **item} if name == "ports" and isinstance(item, dict) else item for item in items]
    return value


def _patched(served: Served, call: Call, base: Obj) -> Obj:
    if call.method == "PUT":
        body = _checked(served, call, call.document())
        if not body["metadata"].get("name"):
            raise bad_request(f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided")
        uid = body["metadata"].get("uid") or base["metadata"].get("uid")
        return {**body, "metadata": {**body["metadata"], "uid": uid}}
    return patch(call, base)


def patch(call: Call, base: Obj) -> Obj:
    """``base`` with the patch of the request. Raises Failure 400, 415, 422."""
    if call.content_type not in (MERGE, STRATEGIC, JSON_PATCH):
        raise Failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    body = parse(call.body)
    if call.content_type == JSON_PATCH:
        if not isinstance(body, list):
            raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        try:
            result: Obj = json_patch(base, body)
        except PatchError as error:
            raise Failure(422, "Invalid", "the server rejected our request due to an error in our request", {}) from error
        return result
    if not isinstance(body, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    merged: Obj = merge(base, body) if call.content_type == MERGE else strategic_merge(base, body)
    return merged


def _settled(served: Served, call: Call, current: Obj, wanted: Obj) -> Obj:
    """``wanted`` as it may be stored: names checked, conflicts found, fields of the server and other subresources kept."""
    meta, before = wanted.get("metadata") or {}, current["metadata"]
    if meta.get("name") != call.name:
        raise bad_request(f"the name of the object ({meta.get('name')}) does not match the name on the URL ({call.name})")
    if served.resource.namespaced and meta.get("namespace") not in (None, "", call.namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    check_version(served, current, meta.get("resourceVersion"))
    kept = {key: before[key] for key in _SET_BY_SERVER if key in before and key not in ("uid", "managedFields")}
    plain = {key: value for key, value in meta.items() if key not in _SET_BY_SERVER or key in ("uid", "managedFields")}
    result = {**wanted, "kind": current["kind"], "apiVersion": current["apiVersion"],
              "metadata": {**plain, **kept, **({"namespace": before["namespace"]} if "namespace" in before else {})}}  # fmt: skip
    result = complete(_of_subresource(served, call.subresource, current, result))
    if causes := validation.updating(served, current, result):
        raise invalid(served, call.name, causes)
    return result


def _of_subresource(served: Served, subresource: str, current: Obj, wanted: Obj) -> Obj:
    if subresource == "status":
        return {**current, "metadata": {**current["metadata"], "uid": wanted["metadata"].get("uid")}, "status": wanted.get("status") or {}}
    if subresource == "ephemeralcontainers":
        return {**current, "spec": {**current["spec"], "ephemeralContainers": at(wanted, ("spec", "ephemeralContainers"), [])}}
    if "status" not in served.subresources:
        return wanted
    rest = {key: value for key, value in wanted.items() if key != "status"}
    return {**rest, "status": current["status"]} if "status" in current else rest


def check_version(served: Served, current: Obj, wanted: Any) -> None:
    """Raises Failure 409 where ``wanted`` is another resourceVersion than the object has; none is no condition."""
    if not wanted or wanted == current["metadata"]["resourceVersion"]:
        return
    if not str(wanted).isdecimal():
        raise Failure(500, "", f'strconv.ParseUint: parsing "{wanted}": invalid syntax')
    raise modified(served, current["metadata"]["name"])


# delete


def delete(store: Store, served: Served, call: Call) -> Answer:
    options = _options(call)
    dry_run = call.dry_run(options)
    with store.changed:
        current = store.get(served, _where(served, call), call.name)
        if current is None:
            raise not_found(served, call.name)
        check_preconditions(served, call.name, current, options.get("preconditions") or {})
        ended = current if dry_run else _end(store, served, call, current, options)
    if served.resource.kind in _RETURNED_WHOLE:
        return Answer(ended)
    details = {"name": call.name, "group": served.resource.group, "kind": served.resource.plural, "uid": current["metadata"]["uid"]}
    return Answer({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {k: v for k, v in details.items() if v}})


def delete_collection(store: Store, served: Served, call: Call, victims: list[Obj]) -> Answer:
    options = _options(call)
    dry_run = call.dry_run(options)
    with store.changed:
        ended = [victim if dry_run else _end(store, served, call, victim, options) for victim in victims]
    return Answer({"kind": f"{served.resource.kind}List", "apiVersion": served.resource.api_version,
                   "metadata": {"resourceVersion": str(store.version)}, "items": ended})  # fmt: skip


def _options(call: Call) -> Obj:
    """DeleteOptions. With a body, the real server does not look at the query at all (handlers/delete.go)."""
    if call.body:
        options: Any = call.document()
        if not isinstance(options, dict):
            raise bad_request("error decoding DeleteOptions: not an object")
        return dict(options)
    found: Obj = {"propagationPolicy": call.query.get("propagationPolicy"), "gracePeriodSeconds": call.number("gracePeriodSeconds")}
    return {**found, "dryRun": [call.query["dryRun"]] if call.query.get("dryRun") else []}


def check_preconditions(served: Served, name: str, current: Obj, wanted: Obj) -> None:
    """The ``preconditions`` of DeleteOptions. Raises Failure 409."""
    meta = current["metadata"]
    if wanted.get("uid") not in (None, meta["uid"]):
        raise precondition(served, name, f"the UID in the precondition ({wanted['uid']}) does not match the UID in record "
                                         f"({meta['uid']}). The object might have been deleted and then recreated")  # fmt: skip
    if wanted.get("resourceVersion") not in (None, meta["resourceVersion"]):
        raise precondition(served, name, f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the "
                                         f"ResourceVersion in record ({meta['resourceVersion']}). The object might have been modified")  # fmt: skip


def _end(store: Store, served: Served, call: Call, obj: Obj, options: Obj) -> Obj:
    if options.get("propagationPolicy") == "Orphan":
        _orphan(store, obj["metadata"]["uid"])
    if served.resource.kind == "Namespace":
        return store.mutate(served, obj, {"metadata": {"deletionTimestamp": stamp(store.now()), "deletionGracePeriodSeconds": None}})
    grace = 0
    if served is PODS and at(obj, ("spec", "nodeName")):
        asked = options.get("gracePeriodSeconds")
        grace = asked if isinstance(asked, int) else at(obj, ("spec", "terminationGracePeriodSeconds"), 30)
    return terminate(store, served, obj, grace, manager=call.manager)


def _orphan(store: Store, uid: str) -> None:
    for served, obj in store.everything():
        references = obj["metadata"].get("ownerReferences") or []
        left = [o for o in references if o["uid"] != uid]
        if len(left) < len(references):
            store.mutate(served, obj, {"metadata": {"ownerReferences": left or None}})


def _where(served: Served, call: Call) -> str:
    return call.namespace if served.resource.namespaced else ""
