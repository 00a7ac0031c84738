"""What players asked of a game's cluster and its Vault, kept so that it can be asked again; and asked again.

By nothing that is kept here a player is let in: a Vault token stands as the request that gave it, and what else authenticates
(the responders' secret id) as its name. Both are filled in again with those of the cluster that it is played on.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from irkit.model.kube import Obj
from irkit.sandbox import rbac
from irkit.sandbox.api.call import Answer, Call, read
from irkit.sandbox.api.router import Router
from irkit.sandbox.audit import STAGES, Audit, Stage
from irkit.sandbox.clock import micro
from irkit.sandbox.failures import Failure
from irkit.sandbox.rbac import User
from irkit.sandbox.turns import Turns
from irkit.sandbox.vault import Vault
from irkit.sandbox.vault import messages as vault_messages
from irkit.stage import Asked

_HEADERS = ("Content-Type", "User-Agent", "Accept")


class Tape:
    """In the order of turns."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self._credentials: dict[str, str] = {}
        self._given = 0

    def keep(self, name: str, credential: str) -> None:
        """What authenticates in this cluster and in no other, by a name under which another has its own."""
        self._credentials[name] = credential

    # as it is asked

    @contextmanager
    def turn(self, call: Call) -> Iterator[datetime]:
        """The turn in which a request to the API server is answered."""
        with self.turns.take(asked=self._of(call, "api")) as moment:
            yield moment

    @contextmanager
    def aside(self, call: Call, received: str, code: int, stage: Stage) -> Iterator[None]:
        """What only reads takes no turn, but has its place between two."""
        at = self.turns.clock.since(datetime.fromisoformat(received))
        with self.turns.between(msgspec.structs.replace(self._of(call, "read"), at=at, code=code, stage=stage)):
            yield

    @contextmanager
    def vault(self, asked: vault_messages.Asked) -> Iterator[None]:
        """The turn in which a request to the Vault is answered."""
        body = self._hidden(msgspec.json.encode(dict(asked.body)).decode()) if asked.body else ""
        headers = {"namespace": asked.namespace, **{f"?{k}": v for k, v in asked.query.items()}, "Content-Type": asked.content_type}
        with self.turns.take(asked=Asked(at=0, server="vault", who=self._name(asked.token), method=asked.method, path=asked.path,
                                         headers=headers, body=body)):  # fmt: skip
            yield

    def handed(self, auth: Obj | None) -> None:
        """The Vault gave somebody a token."""
        if auth:
            self._given += 1
            self.keep(f"token {self._given}", str(auth["client_token"]))

    def _of(self, call: Call, server: str) -> Asked:
        text, binary = _text(call.body)
        return Asked(at=0, server="api" if server == "api" else "read", who=call.user.name, groups=(*call.user.groups, f"uid:{call.user.uid}"),
                     method=call.method, path=call.uri, headers={h: call.headers[h] for h in _HEADERS if h in call.headers},
                     body=text, base64=binary)  # fmt: skip

    def _name(self, token: str) -> str:
        return next((name for name, value in self._credentials.items() if value == token), "")

    def _hidden(self, text: str) -> str:
        for name, value in self._credentials.items():
            text = text.replace(value, f"${{irkit {name}}}")
        return text

    def _shown(self, text: str) -> str:
        for name, value in self._credentials.items():
            text = text.replace(f"${{irkit {name}}}", value)
        return text

    # asked again

    def again(self, asked: Asked, router: Router, audit: Audit, vault: Vault) -> None:
        """Raises ValueError for what can't have been asked."""
        try:
            self._again(asked, router, audit, vault)
        except (Failure, msgspec.DecodeError) as error:
            raise ValueError(str(error)) from error

    def _again(self, asked: Asked, router: Router, audit: Audit, vault: Vault) -> None:
        self.turns.clock.reach(asked.at)
        match asked.server:
            case "turn" | "command":
                with self.turns.take():
                    pass
            case "api":
                self._call_again(asked, router, audit)
            case "read":
                received = micro(self.turns.clock.began + timedelta(milliseconds=asked.at))
                stage: Stage = next((known for known in STAGES if known == asked.stage), "ResponseStarted")
                audit.record(_call(asked, router), received, asked.code, stage)
            case "vault":
                self._vault_again(asked, vault)

    def _call_again(self, asked: Asked, router: Router, audit: Audit) -> None:
        call = _call(asked, router)
        with self.turns.take() as moment:
            answered(call, micro(moment), router, audit)

    def _vault_again(self, asked: Asked, vault: Vault) -> None:
        query = {key[1:]: value for key, value in asked.headers.items() if key.startswith("?")}
        body = msgspec.json.decode(self._shown(asked.body), type=dict[str, object]) if asked.body else {}
        told = vault_messages.Asked(asked.method, asked.path, body, self._credentials.get(asked.who, ""), asked.headers.get("namespace", ""), query,
                                    asked.headers.get("Content-Type", ""))  # fmt: skip
        with self.turns.take():
            self.handed(vault.answer(told).auth)


def answered(call: Call, received: str, router: Router, audit: Audit) -> Answer:
    """The answer, a refusal too, once it is in the audit log."""
    try:
        answer = router.answer(call)
    except Failure as failure:
        answer = Answer(failure.status(), failure.code)
    audit.record(call, received, answer.code, "ResponseStarted" if call.streams else "ResponseComplete")
    return answer


def _call(asked: Asked, router: Router) -> Call:
    *groups, uid = asked.groups or ("uid:",)
    body = base64.b64decode(asked.body, validate=True) if asked.base64 else asked.body.encode()
    return read(router.catalog, asked.method, asked.path, asked.headers, body, _user(asked.who, tuple(groups), uid.removeprefix("uid:")))


def _user(name: str, groups: tuple[str, ...], uid: str) -> User:
    found = User(name, groups, uid)
    return rbac.ANONYMOUS if found == rbac.ANONYMOUS else found


def _text(body: bytes) -> tuple[str, bool]:
    """The body as text, and whether it had to become base64 for that."""
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
