"""What a refusal becomes, and what of its body may be said."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.adapters import answers
from irkit.adapters.access import About
from irkit.errors import ApiError, ConflictError, ForbiddenError, GoneError, InvalidError, IrkitError, LoginError, NotFoundError, UnreachableError
from irkit.model.kube import PODS, ObjectRef
from irkit.text import printable
from tests.adapters.scripted import Scripted, answer, cluster_at, status

POD = ObjectRef(resource=PODS, name="web", namespace="shop")
ABOUT = About("prod", "https://10.0.0.1:6443", "shop", "oncall")
SECRET = "hunter2-hunter2"


def refusal(code: int, body: object, method: str = "GET") -> IrkitError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answers.refusal(code, data, method=method, path="/api/v1/pods", about=ABOUT)


def a_status(message: str, **more: object) -> dict[str, object]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, **more}


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (400, InvalidError, 1), (401, LoginError, 4), (403, ForbiddenError, 4), (404, NotFoundError, 1), (405, ApiError, 1),
        (409, ConflictError, 1), (410, GoneError, 1), (422, InvalidError, 1), (429, UnreachableError, 7), (500, ApiError, 1),
        (502, UnreachableError, 7), (503, UnreachableError, 7), (504, UnreachableError, 7), (302, ApiError, 1),
    ],
)  # fmt: skip
def test_each_status_has_its_class(tmp_path: Path, code: int, kind: type[IrkitError], exit_code: int) -> None:
    with Scripted((status(code, "these words", "Because"),)) as server, pytest.raises(kind) as caught:
        cluster_at(tmp_path, server.url, budget=0.1).get(POD)
    assert type(caught.value) is kind
    assert caught.value.exit_code == exit_code
    assert "these words" in caught.value.message or code == 401
    if isinstance(caught.value, ApiError):
        assert (caught.value.status, caught.value.reason) == (code, "Because")


@pytest.mark.parametrize("code", [302, 400, 401, 403, 404, 409, 410, 418, 422, 429, 500, 503])
@pytest.mark.parametrize(
    "body",
    [
        f"<html>{SECRET}</html>".encode(),
        json.dumps({"kind": "Secret", "data": {"password": SECRET}, "message": SECRET}).encode(),
        json.dumps({"message": SECRET}).encode(),
        json.dumps([SECRET]).encode(),
        json.dumps({"kind": "Status", "message": {"nested": SECRET}, "reason": [SECRET][:0], "metadata": {"x": SECRET}}).encode(),
        json.dumps({"kind": "Status", "details": {"name": SECRET, "causes": SECRET}}).encode(),
        b'{"kind":"Status","message":"' + SECRET.encode(),
        b"\xff\xfe" + SECRET.encode(),
        b"[" * 100_000 + SECRET.encode(),
    ],
)
def test_nothing_of_a_body_that_is_no_status_is_said(tmp_path: Path, code: int, body: bytes) -> None:
    with Scripted((answer(code, raw=body),)) as server, pytest.raises(IrkitError) as caught:
        cluster_at(tmp_path, server.url, budget=0.1).get(POD)
    error = caught.value
    assert SECRET not in f"{error!r} {error} {error.message} {error.next} {getattr(error, 'reason', '')}"
    assert error.__context__ is None or error.__suppress_context__, "a traceback would show what was being handled"


@given(st.text(max_size=400))
def test_a_message_is_one_printable_line(text: str) -> None:
    message = refusal(409, a_status(text)).message
    assert printable(message, 1000) == message, "nothing is left to escape"
    assert len(message) < 300


def test_hostile_messages_are_escaped_and_cut() -> None:
    error = refusal(404, a_status("\x1b[2Jgone\r\n\u202eevil" + "x" * 1000, reason="\x1b]0;title\x07"))
    assert error.message.startswith("\\x1b[2Jgone\\r\\n\\u202eevil")
    assert len(error.message) < 300
    assert isinstance(error, NotFoundError)
    assert error.reason == "\\x1b]0;title\\x07"


def test_causes_speak_where_the_message_does_not() -> None:
    causes = [{"field": "spec.a", "message": "Required value"}, {"field": "spec.b", "message": "Too long"}, "no cause"]
    assert refusal(422, a_status("", details={"causes": causes})).message == "spec.a: Required value; spec.b: Too long"


def test_a_refusal_by_admission_is_no_missing_right() -> None:
    """Both are 403; only one is mended by a Role."""
    by_rbac = 'pods "x" is forbidden: User "viewer" cannot patch resource "pods" in API group "" in the namespace "default"'
    by_admission = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": privileged'
    assert isinstance(refusal(403, a_status(by_rbac), "PATCH"), ForbiddenError)
    denied = refusal(403, a_status(by_admission), "POST")
    assert isinstance(denied, InvalidError)
    assert denied.status == 403
    assert isinstance(refusal(403, b"", "POST"), ForbiddenError), "a gateway that says nothing"


def test_a_patch_of_an_object_that_was_replaced_is_a_conflict() -> None:
    body = a_status("uid is immutable", details={"causes": [{"field": "metadata.uid", "message": "field is immutable"}]})
    found = refusal(422, body, "PATCH")
    assert isinstance(found, ConflictError)
    assert found.status == 409
    other = a_status("no such port", details={"causes": [{"field": "spec.x", "message": "Invalid value"}]})
    assert isinstance(refusal(422, other, "PATCH"), InvalidError)
    assert isinstance(refusal(422, body, "POST"), InvalidError)


def test_a_kubelet_that_does_not_answer_is_unreachable() -> None:
    """As the API server words it (seen, Kubernetes 1.35); what a kubelet itself answers is a definitive refusal."""
    away = 'Get "https://127.0.0.1:1/containerLogs/default/p/c?timestamps=true": dial tcp 127.0.0.1:1: connect: connection refused'
    assert isinstance(refusal(500, a_status(away)), UnreachableError)
    assert isinstance(refusal(500, a_status('an error on the server ("unknown") has prevented the request from succeeding')), ApiError)


def jwt(expires: float) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'RS256'})}.{part({'exp': expires, 'sub': SECRET})}.c2ln"


def test_an_expired_token_is_named_as_such(tmp_path: Path) -> None:
    with Scripted((status(401, "Unauthorized"),)) as server:
        with pytest.raises(ForbiddenError) as caught:
            cluster_at(tmp_path, server.url, user={"token": jwt(1_750_000_000)}).get(POD)
        with pytest.raises(ForbiddenError) as fresh:
            cluster_at(tmp_path, server.url, user={"token": jwt(4_000_000_000)}).get(POD)
    assert "does not accept the credentials of kubeconfig user me (401): its token expired at 2025-06-15T15:06:40Z" in caught.value.message
    assert "expired" not in fresh.value.message
    assert SECRET not in caught.value.message


def test_a_kubelet_that_does_not_know_the_api_server_is_no_login_of_ours() -> None:
    theirs = refusal(401, a_status("the server has asked for the client to provide credentials ( pods/log web-0)"))
    assert isinstance(theirs, ForbiddenError)
    assert not isinstance(theirs, LoginError)
    assert isinstance(refusal(401, a_status("Unauthorized")), LoginError)
