"""One request, taken apart; and one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from irkit import yamls
from irkit.model.kube import Obj
from irkit.sandbox.api import protobuf
from irkit.sandbox.catalog import Catalog, Served
from irkit.sandbox.failures import Cause, Failure, bad_request, media_type
from irkit.sandbox.rbac import Attributes, User

_READABLE = ("", "application/json", "application/yaml", "application/apply-patch+yaml")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class Call:
    """``served`` is None for paths that are no resource (discovery, health)."""

    method: str
    uri: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: User
    served: Served | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def verb(self) -> str:
        """As RBAC and the audit log name it."""
        if self.served is None:
            return self.method.lower()
        if self.method == "GET":
            return "watch" if self.watching else "get" if self.name else "list"
        if self.method == "DELETE":
            return "delete" if self.name else "deletecollection"
        return _VERBS.get(self.method, self.method.lower())

    @property
    def watching(self) -> bool:
        return not self.name and self.flag("watch")

    @property
    def streams(self) -> bool:
        """What the API server counts as long-running."""
        return self.watching or self.subresource in ("log", "proxy", "exec")

    @property
    def attributes(self) -> Attributes:
        assert self.served is not None
        resource = self.served.resource
        return Attributes(self.verb, resource.group, resource.plural, self.subresource, self.namespace, self.name)

    @property
    def user_agent(self) -> str:
        return self.headers.get("User-Agent", "")

    @property
    def manager(self) -> str:
        """``fieldManager``, or what the user agent starts with."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0].strip()

    def flag(self, name: str) -> bool:
        """A boolean parameter, as conversion of query strings reads it: present and neither false nor 0."""
        return name in self.query and self.query[name].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        """Raises Failure 400 where the parameter is no integer."""
        text = self.query.get(name)
        if text is None or text == "":
            return None
        try:
            return int(text)
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None

    def document(self) -> Any:
        """The body as JSON, YAML, or one of the few kinds of protobuf that are known. Raises Failure 400, 415."""
        if self.content_type == "application/vnd.kubernetes.protobuf":
            return _protobuf(self.body)
        if self.content_type not in _READABLE:
            raise media_type()
        return parse(self.body, yaml=self.content_type in ("application/yaml", "application/apply-patch+yaml"))

    def dry_run(self, options: Obj | None = None) -> bool:
        """Whether to write nothing, from ``options`` or else from the query. Raises Failure 422 where it is another than All."""
        given = {"dryRun": [self.query["dryRun"]] if self.query.get("dryRun") else []} if options is None else options
        asked = given.get("dryRun") or []
        if asked not in ([], ["All"]):
            raise _bad_option(self.method, asked)
        return bool(asked)


def _bad_option(method: str, asked: list[str]) -> Failure:
    kind = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(method, "DeleteOptions")
    shown = msgspec.json.encode(asked).decode()
    cause = Cause("dryRun", f'Unsupported value: {shown}: supported values: "All"', "FieldValueNotSupported")
    return Failure(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {cause.field}: {cause.message}',
                   {"group": "meta.k8s.io", "kind": kind, "causes": [cause._asdict()]})  # fmt: skip


def parse(body: bytes, *, yaml: bool = False) -> Any:
    """Raises Failure 400."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        if not yaml:
            raise bad_request(f"error decoding patch: {error}") from None
    except UnicodeDecodeError:
        raise bad_request("error decoding patch: invalid UTF-8") from None
    return _yaml(body)


def _protobuf(body: bytes) -> Obj:
    try:
        found = protobuf.decode(body)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from None
    if found is None:
        raise media_type()
    return found


def _yaml(body: bytes) -> Any:
    import yaml as pyyaml

    try:
        return yamls.load(body)
    except (pyyaml.YAMLError, ValueError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None


def read(catalog: Catalog, method: str, uri: str, headers: Mapping[str, str], body: bytes, user: User) -> Call:
    """Take a request apart. A path below a group and version that is served, but of no resource: Failure 404 later.

    Raises Failure 400 for what is no address.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise bad_request(f"the address of the request can't be read: {error}") from None
    query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    call = Call(method, uri, parts.path, query, headers, body, user)
    segments = [unquote(s) for s in parts.path.strip("/").split("/")]
    if segments[0] == "api":
        group, segments = "", segments[1:]
    elif segments[0] == "apis" and len(segments) > 1:
        group, segments = segments[1], segments[2:]
    else:
        return call
    if len(segments) < 2:
        return call
    version, *rest = segments
    return _resource(catalog, call, group, version, rest)


def _resource(catalog: Catalog, call: Call, group: str, version: str, rest: list[str]) -> Call:
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (group or rest[2] not in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    served = catalog.find(group, version, rest[0])
    if served is None or (namespace and not served.resource.namespaced):
        return call
    name, subresource = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
    if served.resource.kind == "Namespace" and name:
        namespace = name  # as RequestInfo: what is done to a namespace is done in it
    return replace(call, served=served, namespace=namespace, name=name, subresource=subresource, rest="/".join(rest[3:]))


@dataclass(frozen=True, slots=True)
class Answer:
    """``body``: a document, bytes as they are, or a stream of bytes of unknown length.

    ``eager``: somebody waits for each part of the stream; an empty one only asks whether he is there still.
    """

    body: Obj | bytes | Iterator[bytes]
    code: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    eager: bool = False
