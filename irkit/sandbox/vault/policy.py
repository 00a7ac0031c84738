"""Policies: which capabilities a path has, after vault/acl.go of OpenBao: the most specific rule decides, ``deny`` wins in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from irkit.sandbox.vault.messages import Refused

DEFAULT = """
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"""
ALL = frozenset({"create", "read", "update", "patch", "delete", "list", "sudo", "deny"})
_BLOCK = re.compile(r'path\s+"([^"]*)"\s*\{([^{}]*)\}')
_CAPABILITIES = re.compile(r"capabilities\s*=\s*\[([^\]]*)\]")


class Rule(NamedTuple):
    """``path`` may hold ``+`` for one segment and end with ``*`` for anything."""

    path: str
    capabilities: frozenset[str]

    def matches(self, path: str) -> bool:
        body = self.path.removesuffix("*")
        pattern = "[^/]+".join(re.escape(part) for part in body.split("+"))
        return re.fullmatch(pattern + (".*" if self.path.endswith("*") else ""), path, re.DOTALL) is not None

    @property
    def rank(self) -> tuple[int, bool, int, int, str]:
        """Higher is more specific: the first wildcard as late as can be, no glob at the end, fewer ``+``, longer."""
        wild = [at for at in (self.path.find("+"), len(self.path) - 1 if self.path.endswith("*") else -1) if at >= 0]
        return min(wild, default=len(self.path) + 1), not self.path.endswith("*"), -self.path.count("+"), len(self.path), self.path


def parse(text: str) -> tuple[Rule, ...]:
    """The path rules of a policy in HCL. Raises Refused 400 for one that is none, or names a capability that is none."""
    bare = re.sub(r"#[^\n]*", "", text)
    found = []
    for path, body in _BLOCK.findall(bare):
        listed = _CAPABILITIES.search(body)
        names = frozenset(re.findall(r'"([^"]*)"', listed[1] if listed else ""))
        if unknown := names - ALL:
            raise Refused(400, f'failed to parse policy: path "{path}": invalid capability "{min(unknown)}"')
        found.append(Rule(path, names))
    if _BLOCK.sub("", bare).strip():
        raise Refused(400, "failed to parse policy: unable to parse HCL")
    return tuple(found)


class Acl:
    """What a set of policies grants together."""

    def __init__(self, rules: Iterable[Rule], *, root: bool = False) -> None:
        self._rules, self._root = tuple(rules), root

    def capabilities(self, path: str) -> frozenset[str]:
        """``{"root"}``, ``{"deny"}``, or what may be done to ``path``."""
        if self._root:
            return frozenset({"root"})
        matching = [rule for rule in self._rules if rule.matches(path)]
        if not matching:
            return frozenset({"deny"})
        best = max(rule.rank for rule in matching)
        granted = frozenset[str]().union(*(rule.capabilities for rule in matching if rule.rank == best))
        return frozenset({"deny"}) if "deny" in granted or not granted else granted

    def allows(self, operation: str, path: str) -> bool:
        """A list of ``a/b`` may be granted for ``a/b/`` as well."""
        paths = (f"{path.rstrip('/')}/", path.rstrip("/")) if operation == "list" else (path,)
        return any({operation, "root"} & self.capabilities(one) for one in paths)

    def sees(self, mount: str) -> bool:
        """Whether anything at all is granted below a mount."""
        if self._root:
            return True
        granting = [rule for rule in self._rules if rule.capabilities - {"deny"}]
        return any(rule.path.startswith(mount) or (rule.path.endswith("*") and mount.startswith(rule.path[:-1])) for rule in granting)
