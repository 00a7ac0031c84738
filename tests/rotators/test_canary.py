"""Planted values, old and new, appear in nothing that leaves a rotator: outcomes, before-images, exceptions with all they are raised from."""

from __future__ import annotations

import base64
import itertools
import json
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from irkit.errors import ApiError, ConflictError, ForbiddenError, InvalidError, IrkitError, UnreachableError
from irkit.model.credential import Credential
from irkit.rotators.holders import open_holder
from tests.rotators.world import World

OLD, GIVEN = "CANARY-old-0123456789", "CANARY-given-0123456789"


class Failing:
    """Fails at the n-th request, with a text that quotes nothing."""

    def __init__(self, behind: Any, error: IrkitError, count: list[int]) -> None:
        self._behind, self._error, self._count = behind, error, count

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)

        def call(*what: Any, **how: Any) -> Any:
            self._count[0] -= 1
            if self._count[0] == -1:
                raise self._error
            return found(*what, **how)

        return call if name in ("get", "list", "patch", "create", "delete", "read", "write") else found


def _synced(world: World, name: str) -> Credential:
    world.put(f"prod/{name}", KEY=OLD)
    world.external(name, "generated", {"KEY": "KEY"}, path=f"prod/{name}")
    return world.credential(name)


def _plain(world: World, name: str) -> Credential:
    world.secret(name, "generated", {"KEY": OLD})
    return world.credential(name)


def _given(world: World, name: str) -> Credential:
    world.secret(name, "issuer-made", {"KEY": OLD})
    world.approver.secrets[f"{name}/KEY"] = GIVEN
    return world.credential(name)


def chain(error: BaseException) -> list[str]:
    """Every exception behind this one, shown or hidden."""
    behind = [e for e in (error.__cause__, error.__context__) if e is not None]
    return [repr(error.args), *(text for e in behind for text in chain(e))]


@pytest.mark.parametrize("make", [_synced, _plain, _given])
@pytest.mark.parametrize("error", [
    ForbiddenError("no"), UnreachableError("gone"), InvalidError("bad", status=400), ConflictError("changed", status=409),
    ApiError("oops", status=500),
], ids=lambda e: type(e).__name__)  # fmt: skip
def test_no_value_leaves_a_rotator(rehearsal: World, make: Callable[[World, str], Credential], error: IrkitError) -> None:
    for at in itertools.count():
        name, count = f"app{at}", [at]
        said: list[object] = []
        credential = make(rehearsal, name)
        vault: Any = Failing(rehearsal.ports.vaults.vault(), error, count)
        vaults: Any = type("Vaults", (), {"vault": lambda self, vault=vault: vault})()
        cluster: Any = Failing(rehearsal.ports.cluster, error, count)
        tools = rehearsal.tools(seconds=2, ports=msgspec.structs.replace(rehearsal.ports, cluster=cluster, vaults=vaults))
        rotator = rehearsal.rotator(credential)
        kept = open_holder(credential, rehearsal.tools()).read()
        try:
            before = rotator.before(credential, tools)
            said += [before, json.dumps(before)]
            said += [rotator.renew(credential, before, tools)]
            said += [rotator.retire(credential, before, tools)]
        except IrkitError as raised:
            said += [raised, raised.next, *traceback.format_exception(raised), *chain(raised)]
        new = rehearsal.values(name).get("KEY", OLD)
        text = "\n".join([*map(repr, said), *map(str, said), repr(kept), repr(tools.shared)])
        values = {OLD, GIVEN, new, rehearsal.entry(f"prod/{name}")["KEY"] if make is _synced else OLD}
        found = [v for v in values for form in (v, base64.b64encode(v.encode()).decode()) if form in text]
        assert not found, [line for line in text.splitlines() if any(v in line for v in found)]
        if count[0] >= 0:
            break
    assert at > 3
