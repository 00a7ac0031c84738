"""``pods/exec`` over WebSocket (RFC 6455) in the protocols v5 and v4.channel.k8s.io: each message is one byte that says the channel, and data.

The commands end by themselves and read nothing, so all that is said can be said at once; what the client sends is not looked at.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import msgspec

from irkit.model.kube import Obj, at
from irkit.sandbox import rbac
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.api.subresources import container_of
from irkit.sandbox.catalog import PODS
from irkit.sandbox.failures import Failure, bad_request, forbidden, not_found
from irkit.sandbox.shell import Inside, NoSuchProgram, Printed, run
from irkit.sandbox.store import Store

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_OUT, _ERR, _END = b"\x01", b"\x02", b"\x03"
_PIECE = 32 * 1024
_NORMAL = b"\x03\xe8"  # status 1000


def execute(store: Store, call: Call) -> Answer:
    """Raises Failure 400, 403, 404."""
    create = call.attributes._replace(verb="create")  # as AuthorizePodWebsocketUpgradeCreatePermission
    if not rbac.may(store, call.user, create):
        raise forbidden(PODS, call.name, create.refusal(call.user))
    pod = store.get(PODS, call.namespace, call.name)
    if pod is None:
        raise not_found(PODS, call.name)
    container = _running(pod, container_of(pod, call.query.get("container", "")))
    command = parse_qs(urlsplit(call.uri).query, keep_blank_values=True).get("command", [])
    if not command:
        raise bad_request("you must specify at least 1 command for the container")
    offered = [word.strip() for word in call.headers.get("Sec-Websocket-Protocol", "").split(",")]
    protocol = next((p for p in PROTOCOLS if p in offered), None)
    key = call.headers.get("Sec-Websocket-Key", "")
    if call.headers.get("Upgrade", "").lower() != "websocket" or protocol is None or not key:
        raise bad_request("Upgrade request required")
    digest = hashlib.sha1(key.encode("latin-1", "replace") + _GUID, usedforsecurity=False).digest()
    accepted = base64.b64encode(digest).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accepted, "Sec-WebSocket-Protocol": protocol}
    return Answer(iter(list(_messages(Inside(store, pod, container), command, call))), 101, headers=headers)


def _running(pod: Obj, name: str) -> Obj:
    if not at(pod, ("spec", "nodeName")):
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    states = {s["name"]: s for field in ("containerStatuses", "initContainerStatuses") for s in at(pod, ("status", field), [])}
    if at(states, (name, "state", "running")) is None:
        raise Failure(500, "InternalError", f'Internal error occurred: unable to upgrade connection: container not found ("{name}")')
    return next(c for field in ("containers", "initContainers") for c in pod["spec"].get(field) or () if c["name"] == name)


def _messages(inside: Inside, command: list[str], call: Call) -> Iterator[bytes]:
    try:
        printed = run(inside, command)
        status = _status(printed.code)
    except NoSuchProgram as missing:
        why = f'exec failed: unable to start container process: exec: "{missing}": executable file not found in $PATH'
        printed, status = Printed(), {"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500, "message": why}
    for channel, data, wanted in ((_OUT, printed.out, "stdout"), (_ERR, printed.err, "stderr")):
        if call.flag(wanted):
            for start in range(0, len(data), _PIECE):
                yield frame(2, channel + data[start : start + _PIECE])
    yield frame(2, _END + msgspec.json.encode(status))
    yield frame(8, _NORMAL)


def _status(code: int) -> Obj:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": f"command terminated with non-zero exit code: {code}",
            "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}  # fmt: skip


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unmasked message, as a server sends it (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + payload
