"""scale, log, token, and the proxy to a node."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec

from irkit.model.kube import Obj, Resource, at
from irkit.sandbox import logs, validation
from irkit.sandbox.accounts import ISSUER, Accounts
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.api.writes import check_version, patch
from irkit.sandbox.catalog import NODES, PODS, SECRETS, SERVICEACCOUNTS, Served
from irkit.sandbox.clock import parse, stamp
from irkit.sandbox.failures import Cause, bad_request, conflict, invalid, no_such_method, not_found
from irkit.sandbox.logs import Logs, Query
from irkit.sandbox.selectors import formatted
from irkit.sandbox.store import Store

_TOKEN_REQUEST = Served(Resource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest"))
_SCALE = Served(Resource("autoscaling", "v1", "scales", "Scale"))


def _object(store: Store, served: Served, call: Call) -> Obj:
    found = store.get(served, call.namespace if served.resource.namespaced else "", call.name)
    if found is None:
        raise not_found(served, call.name)
    return found


def scale(store: Store, served: Served, call: Call) -> Answer:
    dry_run = call.dry_run() if call.method != "GET" else False
    with store.changed:
        current = _object(store, served, call)
        view = _scale_of(current)
        if call.method == "GET":
            return Answer(view)
        wanted = call.document() if call.method == "PUT" else patch(call, view)
        meta, replicas = wanted.get("metadata") or {}, at(wanted, ("spec", "replicas"), 0)
        _check_uid(served, current, meta.get("uid"))
        check_version(served, current, meta.get("resourceVersion"))
        if not isinstance(replicas, int):
            raise bad_request('Scale in version "v1" cannot be handled as a Scale: spec.replicas: not a number')
        changed = {**current, "spec": {**current["spec"], "replicas": replicas}}
        if causes := validation.updating(served, current, changed):
            raise invalid(_SCALE, call.name, causes)
        return Answer(_scale_of(store.replace(served, changed, manager=call.manager, subresource="scale", dry_run=dry_run)))


def _check_uid(served: Served, current: Obj, wanted: str | None) -> None:
    found = current["metadata"]["uid"]
    if wanted not in (None, "", found):
        part = replace(served, resource=msgspec.structs.replace(served.resource, plural=f"{served.resource.plural}/scale"))
        name, why = current["metadata"]["name"], f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        raise conflict(part, name, why)


def _scale_of(obj: Obj) -> Obj:
    """An ``autoscaling/v1`` Scale. As there, no ``replicas`` in its spec means 0."""
    replicas = at(obj, ("spec", "replicas"), 1)
    meta = {key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in obj["metadata"]}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": {"replicas": replicas} if replicas else {},
            "status": {"replicas": at(obj, ("status", "replicas"), 0), "selector": formatted(at(obj, ("spec", "selector")))}}  # fmt: skip


def log(store: Store, kept: Logs, call: Call) -> Answer:
    """A container's log, worded as registry/core/pod and the kubelet (GetKubeletContainerLogs) refuse it."""
    pod = _object(store, PODS, call)
    query = _query(store, call)
    container = container_of(pod, call.query.get("container", ""))
    if not at(pod, ("spec", "nodeName")):
        return Answer(b"", 204)
    previous = call.flag("previous")
    run = kept.find(pod["metadata"]["uid"], container, previous=previous)
    if run is None:
        name = pod["metadata"]["name"]
        if previous:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating')
    if call.flag("follow"):
        uid = pod["metadata"]["uid"]
        return Answer(kept.follow(uid, container, run, query, lambda: _ended(store, pod, container)), content_type="text/plain", eager=True)
    return Answer(logs.answer(run, query), content_type="text/plain")


def _ended(store: Store, pod: Obj, container: str) -> bool:
    """Whether the container will write no more."""
    now = store.get(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
    if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"] or at(now, ("status", "phase")) in ("Succeeded", "Failed"):
        return True
    states = [s for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses") for s in at(now, ("status", field), [])]
    return any(s["name"] == container and at(s, ("state", "terminated")) is not None for s in states)


def container_of(pod: Obj, asked: str) -> str:
    """The container that is meant. Raises Failure 400."""
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [c["name"] for field in ("initContainers", "containers", "ephemeralContainers") for c in spec.get(field) or ()]
    if asked:
        if asked not in names:
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(spec["containers"]) == 1:
        return str(spec["containers"][0]["name"])
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]")


def _query(store: Store, call: Call) -> Query:
    since = None
    if (seconds := call.number("sinceSeconds")) is not None:
        since = logs.nanoseconds(store.now() - timedelta(seconds=seconds))
    elif moment := call.query.get("sinceTime"):
        try:
            since = logs.nanoseconds(parse(moment).replace(microsecond=0))  # as metav1.Time: whole seconds
        except ValueError as error:
            raise bad_request(f"sinceTime: {error}") from None
    return Query(call.flag("timestamps"), call.number("tailLines"), since, call.number("limitBytes"))


def token(store: Store, accounts: Accounts, call: Call) -> Answer:
    """A new token of a ServiceAccount (registry/core/serviceaccount/storage/token.go)."""
    account = _object(store, SERVICEACCOUNTS, call)
    asked = call.document() if call.body else {}
    spec = asked.get("spec") or {}
    seconds, audiences = spec.get("expirationSeconds", 3600), list(spec.get("audiences") or [ISSUER])
    if not isinstance(seconds, int) or seconds < 600:
        cause = Cause("spec.expirationSeconds", f"Invalid value: {seconds}: may not specify a duration less than 10 minutes")
        raise invalid(_TOKEN_REQUEST, "", [cause])
    bound = spec.get("boundObjectRef")
    minted = accounts.mint(account, audiences, seconds, _bound(store, call, bound) if bound else None)
    meta = {key: account["metadata"][key] for key in ("name", "namespace")} | {"creationTimestamp": stamp(store.now())}
    given = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound}
    return Answer({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": meta, "spec": given,
                   "status": {"token": minted, "expirationTimestamp": accounts.expires(seconds)}}, 201)  # fmt: skip


def _bound(store: Store, call: Call, reference: Obj) -> Obj:
    served = {"Pod": PODS, "Secret": SECRETS}.get(reference.get("kind", ""))
    if served is None:
        raise bad_request(f"cannot bind token for serviceaccount to object of type v1, Kind={reference.get('kind')}")
    found = store.get(served, call.namespace, reference.get("name", ""))
    if found is None:
        raise not_found(served, reference.get("name", ""))
    if reference.get("uid") not in (None, "", found["metadata"]["uid"]):
        why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The object might have been deleted"
        raise conflict(served, reference["name"], why)
    return found


def proxy(store: Store, call: Call) -> Answer:
    """A node without a kubelet behind it: the checkpoint API is off, and nothing else is there either."""
    _object(store, NODES, call)
    if call.method not in ("GET", "POST"):
        raise no_such_method()
    return Answer(b"404 page not found\n", 404, "text/plain; charset=utf-8")
