"""Discovery: which groups, versions, resources and parameters there are. Aggregated (v2), plain, and OpenAPI v3.

The OpenAPI documents hold what kubectl looks for, no schemas: which kinds take ``fieldValidation`` and ``dryRun``.
"""

from __future__ import annotations

from irkit.model.kube import Obj
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.catalog import Catalog, Served
from irkit.sandbox.failures import Failure, no_such_resource

VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.4+irkit-rehearsal", "gitTreeState": "clean", "platform": "rehearsal"}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_SUBRESOURCE_KINDS = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction"),
                      "token": ("authentication.k8s.io", "v1", "TokenRequest"), "exec": ("", "v1", "PodExecOptions")}  # fmt: skip
_SUBRESOURCE_VERBS = {"log": ["get"], "eviction": ["create"], "token": ["create"], "finalize": ["update"], "exec": ["create", "get"],
                      "proxy": ["create", "delete", "get", "patch", "update"]}  # fmt: skip


def answer(catalog: Catalog, call: Call) -> Answer:
    """What a path that is no resource says. Raises Failure 404."""
    segments = call.path.strip("/").split("/")
    match segments:
        case ["version"]:
            return Answer(VERSION)
        case ["healthz" | "livez" | "readyz", *_]:
            return Answer(b"ok", content_type="text/plain; charset=utf-8")
        case ["api" | "apis"]:
            return _root(catalog, call, core=segments == ["api"])
        case ["api", version]:
            return _version(catalog, "", version)
        case ["apis", group]:
            return _group(catalog, group)
        case ["apis", group, version]:
            return _version(catalog, group, version)
        case ["openapi", "v3"]:
            paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=1"} for path in _paths(catalog)}
            return Answer({"paths": paths})
        case ["openapi", "v3", "api", version]:
            return _openapi(catalog, "", version)
        case ["openapi", "v3", "apis", group, version]:
            return _openapi(catalog, group, version)
        case ["api", "v1", *_]:
            raise no_such_resource()
        case ["apis", group, version, *_] if version in catalog.groups().get(group, {}):
            raise no_such_resource()
    return Answer(b"404 page not found\n", 404, "text/plain; charset=utf-8")


def _root(catalog: Catalog, call: Call, *, core: bool) -> Answer:
    groups = {name: versions for name, versions in catalog.groups().items() if (name == "") == core}
    if "as=APIGroupDiscoveryList" in call.headers.get("Accept", ""):
        items = [{"metadata": {"name": name} if name else {}, "versions": [
            {"version": version, "freshness": "Current", "resources": [_aggregated(s) for s in served]} for version, served in versions.items()]}
            for name, versions in groups.items()]  # fmt: skip
        document = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
        return Answer(document, content_type=_AGGREGATED)
    if core:
        return Answer({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
    return Answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": [_described(n, list(v)) for n, v in groups.items()]})


def _described(name: str, versions: list[str]) -> Obj:
    offered = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": offered, "preferredVersion": offered[0]}


def _group(catalog: Catalog, group: str) -> Answer:
    versions = catalog.groups().get(group)
    if not group or versions is None:
        return Answer(b"404 page not found\n", 404, "text/plain; charset=utf-8")
    return Answer({"kind": "APIGroup", "apiVersion": "v1", **_described(group, list(versions))})


def _aggregated(served: Served) -> Obj:
    resource = served.resource
    document: Obj = {
        "resource": resource.plural, "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster", "singularResource": served.singular, "verbs": list(served.verbs),
        "shortNames": list(served.short), "categories": list(served.categories),
    }  # fmt: skip
    document["subresources"] = [
        {"subresource": name, "responseKind": dict(zip(("group", "version", "kind"), _kind_of(served, name), strict=True)), "verbs": _verbs_of(name)}
        for name in served.subresources
    ]
    return document


def _kind_of(served: Served, subresource: str) -> tuple[str, str, str]:
    resource = served.resource
    return _SUBRESOURCE_KINDS.get(subresource, (resource.group, resource.version, resource.kind))


def _verbs_of(subresource: str) -> list[str]:
    return _SUBRESOURCE_VERBS.get(subresource, ["get", "patch", "update"])


def _version(catalog: Catalog, group: str, version: str) -> Answer:
    kinds = catalog.groups().get(group, {}).get(version)
    if kinds is None:
        raise no_such_resource() if not group else Failure(404, "NotFound", "404 page not found")
    listed: list[Obj] = []
    for served in kinds:
        resource = served.resource
        listed.append({"name": resource.plural, "singularName": served.singular, "namespaced": resource.namespaced, "kind": resource.kind,
                       "verbs": list(served.verbs), "shortNames": list(served.short), "categories": list(served.categories)})  # fmt: skip
        for name in served.subresources:
            of_group, of_version, kind = _kind_of(served, name)
            listed.append({"name": f"{resource.plural}/{name}", "singularName": "", "namespaced": resource.namespaced, "group": of_group,
                           "version": of_version, "kind": kind, "verbs": _verbs_of(name)})  # fmt: skip
    return Answer({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}".lstrip("/"), "resources": listed})


def _paths(catalog: Catalog) -> list[str]:
    return [f"apis/{g}/{v}" if g else f"api/{v}" for g, versions in catalog.groups().items() for v in versions]


def _openapi(catalog: Catalog, group: str, version: str) -> Answer:
    kinds = catalog.groups().get(group, {}).get(version)
    if kinds is None:
        raise no_such_resource()
    paths: Obj = {}
    for served in kinds:
        resource = served.resource
        root = (f"/apis/{group}/{version}" if group else f"/api/{version}") + ("/namespaces/{namespace}" if resource.namespaced else "")
        paths[f"{root}/{resource.plural}"] = {"post": _operation(served, "post")}
        paths[f"{root}/{resource.plural}/{{name}}"] = {action: _operation(served, action) for action in ("get", "put", "patch")}
    info = {"title": "irkit rehearsal cluster", "version": VERSION["gitVersion"]}
    return Answer({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}})


def _operation(served: Served, action: str) -> Obj:
    resource = served.resource
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    return {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "OK"}},
    }
