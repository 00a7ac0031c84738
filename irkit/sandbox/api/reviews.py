"""Who am I, and what may I do."""

from __future__ import annotations

from irkit.model.kube import Obj
from irkit.sandbox import rbac
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.catalog import ACCESS_REVIEWS, RULES_REVIEWS, Served
from irkit.sandbox.clock import stamp
from irkit.sandbox.failures import bad_request
from irkit.sandbox.rbac import Attributes
from irkit.sandbox.store import Store


def answer(store: Store, served: Served, call: Call) -> Answer:
    body = call.document() if call.body else {}
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: not an object")
    resource = served.resource
    document: Obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    if served is ACCESS_REVIEWS:
        document |= {"spec": body.get("spec") or {}, "status": {"allowed": _allowed(store, call, body.get("spec") or {})}}
    elif served is RULES_REVIEWS:
        document |= {"spec": body.get("spec") or {}, "status": _rules(store, call, (body.get("spec") or {}).get("namespace", ""))}
    else:
        document["metadata"] = {"creationTimestamp": stamp(store.now())}
        document["status"] = {"userInfo": call.user.info}
    return Answer(document, 201)


def _allowed(store: Store, call: Call, spec: Obj) -> bool:
    if path := spec.get("nonResourceAttributes"):
        return rbac.may_path(store, call.user, path.get("verb", ""), path.get("path", ""))
    asked = spec.get("resourceAttributes")
    if not asked:
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    wanted = Attributes(*(str(asked.get(key, "")) for key in ("verb", "group", "resource", "subresource", "namespace", "name")))
    return rbac.may(store, call.user, wanted)


def _rules(store: Store, call: Call, namespace: str) -> Obj:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    found = [everything] if rbac.MASTERS in call.user.groups else list(rbac.rules(store, call.user, namespace))
    return {"resourceRules": [rule for rule in found if rule.get("resources")],
            "nonResourceRules": [rule for rule in found if rule.get("nonResourceURLs")], "incomplete": False}  # fmt: skip
