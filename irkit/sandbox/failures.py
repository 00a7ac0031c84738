"""Refusals of the rehearsal cluster, worded as the real API server words them (`k8s.io/apimachinery/pkg/api/errors`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from irkit.model.kube import Obj
from irkit.sandbox.catalog import Served


class Cause(NamedTuple):
    """One mistake in one field of an object."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class Failure(Exception):
    """An answer of ``kind: Status``."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def status(self) -> Obj:
        body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


def _details(served: Served, name: str, *, kind: bool = False) -> Obj:
    resource = served.resource
    details = {"name": name, "group": resource.group, "kind": resource.kind if kind else resource.plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> Failure:
    return Failure(400, "BadRequest", message)


def unauthorized() -> Failure:
    return Failure(401, "Unauthorized", "Unauthorized")


def forbidden(served: Served, name: str, why: str) -> Failure:
    subject = f'{served.qualified} "{name}"' if name else served.qualified
    return Failure(403, "Forbidden", f"{subject} is forbidden: {why}", _details(served, name))


def not_found(served: Served, name: str) -> Failure:
    return Failure(404, "NotFound", f'{served.qualified} "{name}" not found', _details(served, name))


def no_such_resource() -> Failure:
    return Failure(404, "NotFound", "the server could not find the requested resource", {})


def no_such_method() -> Failure:
    return Failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def exists(served: Served, name: str) -> Failure:
    return Failure(409, "AlreadyExists", f'{served.qualified} "{name}" already exists', _details(served, name))


def conflict(served: Served, name: str, why: str) -> Failure:
    return Failure(409, "Conflict", f'Operation cannot be fulfilled on {served.qualified} "{name}": {why}', _details(served, name))


def modified(served: Served, name: str) -> Failure:
    return conflict(served, name, "the object has been modified; please apply your changes to the latest version and try again")


def precondition(served: Served, name: str, why: str) -> Failure:
    message = f'Operation cannot be fulfilled on {served.qualified_kind} "{name}": {why}'
    return Failure(409, "Conflict", message, _details(served, name, kind=True))


def expired(message: str) -> Failure:
    return Failure(410, "Expired", message)


def media_type(accepted: str = "application/json, application/yaml") -> Failure:
    return Failure(415, "UnsupportedMediaType", f"the body of the request was in an unknown format - accepted media types include: {accepted}")


def invalid(served: Served, name: str, causes: Iterable[Cause]) -> Failure:
    """The same cause counts twice, and is said once (field.ErrorList.ToAggregate)."""
    found = list(causes)
    shown = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in found))
    listed = shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"
    details = _details(served, name, kind=True)
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in found]
    return Failure(422, "Invalid", f'{served.qualified_kind} "{name}" is invalid: {listed}', details)
