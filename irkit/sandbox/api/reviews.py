"""Who am I, and what may I do; whose token is this, and what may somebody else do."""

from __future__ import annotations

from irkit.model.kube import Obj
from irkit.sandbox import rbac
from irkit.sandbox.accounts import ISSUER, Accounts, Invalid
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.catalog import ACCESS_REVIEWS, LOCAL_REVIEWS, OTHERS_REVIEWS, RULES_REVIEWS, TOKEN_REVIEWS, Served
from irkit.sandbox.clock import stamp
from irkit.sandbox.failures import bad_request
from irkit.sandbox.rbac import Attributes, User
from irkit.sandbox.store import Store

OF_OTHERS = (TOKEN_REVIEWS, OTHERS_REVIEWS, LOCAL_REVIEWS)
"""Which only those may create whom a role lets."""


def answer(store: Store, accounts: Accounts, served: Served, call: Call) -> Answer:
    body = call.document() if call.body else {}
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: not an object")
    resource = served.resource
    document: Obj = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    if served is ACCESS_REVIEWS:
        document |= {"spec": body.get("spec") or {}, "status": {"allowed": _allowed(store, call.user, body.get("spec") or {})}}
    elif served is RULES_REVIEWS:
        document |= {"spec": body.get("spec") or {}, "status": _rules(store, call, (body.get("spec") or {}).get("namespace", ""))}
    elif served is TOKEN_REVIEWS:
        document |= {"spec": body.get("spec") or {}, "status": _whose(accounts, body.get("spec") or {})}
    elif served in OF_OTHERS:
        spec = body.get("spec") or {}
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""))
        document |= {"spec": spec, "status": {"allowed": _allowed(store, user, spec)}}
    else:
        document["metadata"] = {"creationTimestamp": stamp(store.now())}
        document["status"] = {"userInfo": call.user.info}
    return Answer(document, 201)


def _whose(accounts: Accounts, spec: Obj) -> Obj:
    try:
        user = accounts.owner(str(spec.get("token", "")))
    except Invalid as why:
        return {"user": {}, "error": f"[invalid bearer token, {why}]"}
    return {"authenticated": True, "user": user.info, "audiences": list(spec.get("audiences") or [ISSUER])}


def _allowed(store: Store, user: User, spec: Obj) -> bool:
    if path := spec.get("nonResourceAttributes"):
        return rbac.may_path(store, user, path.get("verb", ""), path.get("path", ""))
    asked = spec.get("resourceAttributes")
    if not asked:
        raise bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")
    wanted = Attributes(*(str(asked.get(key, "")) for key in ("verb", "group", "resource", "subresource", "namespace", "name")))
    return rbac.may(store, user, wanted)


def _rules(store: Store, call: Call, namespace: str) -> Obj:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    found = [everything] if rbac.MASTERS in call.user.groups else list(rbac.rules(store, call.user, namespace))
    return {"resourceRules": [rule for rule in found if rule.get("resources")],
            "nonResourceRules": [rule for rule in found if rule.get("nonResourceURLs")], "incomplete": False}  # fmt: skip
