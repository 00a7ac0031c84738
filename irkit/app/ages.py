"""The ages of credentials that Vault keeps, where a Vault is set up and answers: it knows when a value was written, the cluster only guesses."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from irkit.credentials import age
from irkit.credentials.look import Unknown
from irkit.credentials.radius import Radius
from irkit.errors import IrkitError, UsageError
from irkit.model.credential import Finding
from irkit.model.kube import at
from irkit.ports import Ports, SecretReader
from irkit.text import printable


def by_vault(found: Radius, ports: Ports, pool: ThreadPoolExecutor) -> Radius:
    """With the ages that Vault tells, where one is set up: the time of an entry's current version (KV 2, metadata)."""
    wanted = {(f.credential.source.mount, f.credential.source.path) for f in found.findings if _in_kv2(f)}
    if not wanted:
        return found
    try:
        vault = ports.vaults.vault()
    except UsageError:  # no Vault is set up: the cluster's word stands, and each age says whose it is
        return found
    answers = dict(zip(wanted, pool.map(lambda entry: _version(vault, *entry), wanted), strict=True))
    now = ports.clock.now()
    gaps = [Unknown(f"age of Vault's {printable(f'{mount}/{path}')}", why) for (mount, path), why in answers.items() if isinstance(why, str)]
    findings = tuple(_aged(f, answers.get((f.credential.source.mount, f.credential.source.path)), now) for f in found.findings)
    return Radius(findings, (*found.unknown, *gaps))


def _in_kv2(finding: Finding) -> bool:
    source = finding.credential.source
    return source.provider == "vault" and source.version == "v2" and bool(source.mount and source.path)


def _version(vault: SecretReader, mount: str, path: str) -> tuple[datetime, str] | str:
    """When the current version was written, and where that was read; or why it is not known."""
    if not all(part.strip(".") for part in f"{mount}/{path}".split("/")):
        return "that is no path of an entry"  # who wrote it may want another one read
    try:
        data = at(vault.read(f"{mount}/metadata/{path}"), ("data",), {})
    except IrkitError as error:
        return error.message
    number = str(data.get("current_version", ""))
    created = at(data, ("versions", number, "created_time"))
    written = age.moment(created)
    return (written, f"Vault ({vault.where}): version {number} of {mount}/{path}") if written else "its metadata names no time"


def _aged(finding: Finding, told: tuple[datetime, str] | str | None, now: datetime) -> Finding:
    if not isinstance(told, tuple) or not _in_kv2(finding):
        return finding
    then, where = told
    return msgspec.structs.replace(finding, age=age.days(then, now), age_from=printable(where, 400), changed=then.isoformat().replace("+00:00", "Z"))
