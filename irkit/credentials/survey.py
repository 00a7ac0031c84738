"""From what was touched to findings: each Secret divided by class and source, with its age and who else uses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import msgspec

from irkit.credentials import age
from irkit.credentials.classes import Verdict, classify
from irkit.credentials.consumers import Consumers
from irkit.credentials.look import PROVIDERCLASSES, Look
from irkit.credentials.reach import ACCOUNT_NAME, TOKEN_TYPE
from irkit.credentials.sharing import Sharing
from irkit.credentials.sources import Sources, of_agent, of_provider
from irkit.model.credential import Credential, Finding, Reason, Source
from irkit.model.kube import SECRETS, SERVICEACCOUNTS, Obj, ObjectRef, Resource, annotations_of, at, ref_of
from irkit.settings import Settings
from irkit.text import printable

VAULTENTRIES = Resource("vault.hashicorp.com", "v1", "entries", "VaultEntry")
"""No resource of the cluster: what a Vault agent reads, named by its path."""
_WHOLE = ("certificate", "token")  # stolen and renewed as one, whichever key was seen

Name: TypeAlias = tuple[str, str, str]  # kind, namespace, name


class Touch(NamedTuple):
    """By which key (None: all) and for which reasons; ``needed``: somebody can't start without it."""

    reasons: dict[str | None, dict[Reason, None]]
    needed: list[bool]


Touched: TypeAlias = dict[Name, Touch]


def touch(touched: Touched, name: Name, keys: Sequence[str] | None, reason: Reason, optional: bool = False) -> None:
    """Note that a credential could be reached."""
    found = touched.setdefault(name, Touch({}, []))
    found.needed.append(not optional)
    for key in (None,) if keys is None or not keys else keys:
        found.reasons.setdefault(key, {})[reason] = None


class Survey:
    """What is known of the credentials of some namespaces. ``here``: where it is also asked who else uses them."""

    def __init__(self, look: Look, here: set[str], settings: Settings, now: datetime | None) -> None:
        self._look, self._here, self._settings, self._now = look, here, settings, now
        self._secrets: dict[tuple[str, str], Obj] = {}
        self._accounts: dict[tuple[str, str], Obj] = {}
        self._consumers: dict[str, Consumers] = {}

    def findings(self, touched: Touched, pods: Sequence[Obj] = ()) -> tuple[Finding, ...]:
        """One for each Secret, class and source; others as they are. ``pods``: whose use is not sharing."""
        namespaces = {n for _, n, _ in touched}
        self._read(touched, namespaces)
        self._lasting_tokens(touched)
        sources = Sources(self._look, self._secrets.values(), namespaces)
        sharing = self._widen(touched, sources)
        providers = self._providers(touched)
        mine = {users.owning(p).uid for p in pods if (users := self._users(at(p, ("metadata", "namespace"), "")))}
        found = []
        for name in sorted(touched, key=lambda n: (n[1] not in self._here, not _held(touched[n]), n)):
            shared = self._shared(name, mine)
            match name[0]:
                case "Secret":
                    made = self._of_secret(name, touched[name], sources, sharing)
                case "ServiceAccount":
                    made = self._of_account(name, touched[name])
                case _:
                    made = self._of_other(name, touched[name], providers, pods)
            found += [msgspec.structs.replace(f, shared_with=(*shared, *f.credential.source.readers)) for f in made]
        return tuple(found)

    def _read(self, touched: Touched, namespaces: set[str]) -> None:
        keyed = {(at(s, ("metadata", "namespace"), ""), at(s, ("metadata", "name"), "")): s for s in self._look.within((SECRETS,), namespaces)}
        for kind, namespace, name in touched:
            missing = kind == "Secret" and (namespace, name) not in keyed and self._look.refused(SECRETS, namespace)
            if missing and (found := self._look.secret(namespace, name)):
                keyed[namespace, name] = found
        self._secrets = keyed
        for account in self._look.within((SERVICEACCOUNTS,), namespaces):
            self._accounts[at(account, ("metadata", "namespace"), ""), at(account, ("metadata", "name"), "")] = account

    def _lasting_tokens(self, touched: Touched) -> None:
        """Token Secrets of the accounts that were reached: they hold until they are deleted."""
        for (namespace, name), secret in self._secrets.items():
            account = annotations_of(secret).get(ACCOUNT_NAME, "")
            if secret.get("type") == TOKEN_TYPE and ("ServiceAccount", namespace, account) in touched:
                touch(touched, ("Secret", namespace, name), None, Reason(how="token", path=printable(f"a lasting token of ServiceAccount {account}")))

    def _widen(self, touched: Touched, sources: Sources) -> Sharing:
        """Add to ``touched`` every other copy of a value in it."""
        sharing = Sharing(self._look, sources, self._secrets)
        for kind, namespace, name in touched:
            if kind == "Secret" and (secret := self._secrets.get((namespace, name))):
                sharing.want(secret, _keys(secret, touched[kind, namespace, name]))
        for copy in sharing.copies():
            secret, known = self._secrets[copy.namespace, copy.name], touched.get(("Secret", copy.namespace, copy.name))
            if known is None or not {None, copy.key} & set(known.reasons):
                touch(touched, ("Secret", copy.namespace, copy.name), (copy.key,), Reason(how="shared", path=copy.why), optional=True)
            source, whose = sources.of(secret, copy.key), printable(f"Secret {copy.namespace}/{copy.name}")
            sharing.note(source, copy.key, whose, self._verdict(secret, copy.key, source, sources))
        return sharing

    def _verdict(self, secret: Obj, key: str, source: Source, sources: Sources) -> Verdict:
        marked = [o for o in (secret, sources.writer(secret)) if o]
        return classify(ref_of(secret, SECRETS), key, str(secret.get("type") or ""), marked, source, self._settings.rotation.classes)

    def _providers(self, touched: Touched) -> dict[tuple[str, str], Obj]:
        namespaces = {n for kind, n, _ in touched if kind == "SecretProviderClass"}
        found = self._look.within(PROVIDERCLASSES, namespaces) if namespaces else ()
        return {(at(p, ("metadata", "namespace"), ""), at(p, ("metadata", "name"), "")): p for p in found}

    def _users(self, namespace: str) -> Consumers | None:
        if namespace not in self._here:
            return None
        if namespace not in self._consumers:
            self._consumers[namespace] = Consumers(namespace, self._look)
        return self._consumers[namespace]

    def _shared(self, name: Name, mine: set[str]) -> tuple[str, ...]:
        kind, namespace, own = name
        users = self._users(namespace)
        if users is None:
            return ()
        return tuple(str(c.ref) for c in users.named(kind, own) if c.ref.uid not in mine)

    def _of_secret(self, name: Name, touch: Touch, sources: Sources, sharing: Sharing) -> Iterator[Finding]:
        _, namespace, own = name
        secret = self._secrets.get((namespace, own))
        if secret is None:
            yield from self._unread(name, touch)
            return
        ref, type_ = ref_of(secret, SECRETS), str(secret.get("type") or "")
        groups: dict[str, list[tuple[str, Credential]]] = {}
        for key in sorted(at(secret, ("data",), {})):
            source = sources.of(secret, key)
            verdict = sharing.agreed(source, key, self._verdict(secret, key, source, sources))
            source = msgspec.structs.replace(source, database=verdict.database, command=verdict.command)
            credential = Credential(ref=ref, cls=verdict.cls, source=source, why=verdict.why, type=type_, immutable=secret.get("immutable") is True)
            groups.setdefault(credential.id, []).append((key, credential))
        old = age.of(secret, sources.certificate(secret))
        for members in groups.values():
            if touched := _touched(members, touch):
                yield self._finding(touched, touch, old, sharing)

    def _finding(self, members: Sequence[tuple[str, Credential]], touch: Touch, old: age.Age, sharing: Sharing) -> Finding:
        first = members[0][1]
        keys = tuple(key for key, _ in members)
        properties = {key: prop for _, c in members for key, prop in c.source.properties.items()}
        whole = any(c.source.whole for _, c in members)
        if whole and properties:  # the entry is taken whole, and some of it by name, too
            properties = {**{key: key for key in keys}, **properties}
        notes = tuple(dict.fromkeys(n for _, c in members for n in c.source.notes))
        source = msgspec.structs.replace(first.source, properties=properties, whole=whole, notes=notes)
        source = msgspec.structs.replace(source, readers=sharing.readers(source, keys))
        why = "; ".join(dict.fromkeys(c.why for _, c in members))
        credential = msgspec.structs.replace(first, keys=keys, source=source, why=why)
        reasons = tuple(dict.fromkeys(r for key in (None, *(touch.reasons if first.cls in _WHOLE else keys)) for r in touch.reasons.get(key, ())))
        return self._dated(Finding(credential=credential, reasons=tuple(sorted(reasons, key=lambda r: r.how == "rbac"))), old)

    def _dated(self, finding: Finding, old: age.Age) -> Finding:
        ends = age.days(old.ends, self._now)
        changed = old.changed.isoformat().replace("+00:00", "Z") if old.changed else ""
        return msgspec.structs.replace(finding, age=age.days(old.changed, self._now), age_from=old.read, changed=changed,
                                       expires=None if ends is None else -ends)  # fmt: skip

    def _unread(self, name: Name, touch: Touch) -> Iterator[Finding]:
        """A Secret that may not be read, or is gone: what the pod was given of it may still be valid."""
        _, namespace, own = name
        refused = self._look.refused(SECRETS, namespace)
        if not refused and not any(touch.needed):
            return
        why = "you may not read this Secret" if refused else "the Secret is gone; what was read from it may still be valid"
        ref = ObjectRef(resource=SECRETS, name=own, namespace=namespace)
        keys = tuple(sorted(k for k in touch.reasons if k))
        yield Finding(credential=Credential(ref=ref, keys=keys, why=why), reasons=_all(touch))

    def _of_account(self, name: Name, touch: Touch) -> Iterator[Finding]:
        _, namespace, own = name
        account = self._accounts.get((namespace, own))
        ref = ref_of(account, SERVICEACCOUNTS) if account else ObjectRef(resource=SERVICEACCOUNTS, name=own, namespace=namespace)
        old = age.of(account, None) if account else age.Age()
        credential = Credential(ref=ref, cls="token", source=Source(kind="service-account"), why="the cluster's own token")
        yield self._dated(Finding(credential=credential, reasons=_all(touch)), old)

    def _of_other(self, name: Name, touch: Touch, providers: dict[tuple[str, str], Obj], pods: Sequence[Obj]) -> Iterator[Finding]:
        kind, namespace, own = name
        if kind == "SecretProviderClass":
            found = providers.get((namespace, own))
            ref = ref_of(found, PROVIDERCLASSES[0]) if found else ObjectRef(resource=PROVIDERCLASSES[0], name=own, namespace=namespace)
            source = of_provider(ref, found)
        else:
            ref = ObjectRef(resource=VAULTENTRIES, name=own, namespace=namespace)
            source = of_agent(own, next((annotations_of(p) for p in pods if own in annotations_of(p).values()), {}))
        # what a pod says that it reads is its own claim: only a rule that names the entry counts, none that is about all of a namespace
        verdict = classify(ref, "", "", (), source, [r for r in self._settings.rotation.classes if r.name.strip("*")])
        source = msgspec.structs.replace(source, database=verdict.database, command=verdict.command)
        yield Finding(credential=Credential(ref=ref, cls=verdict.cls, source=source, why=verdict.why), reasons=_all(touch))


def _touched(members: list[tuple[str, Credential]], touch: Touch) -> list[tuple[str, Credential]]:
    """The keys that could be reached: all of what is renewed as one, where any of it could."""
    found = [(k, c) for k, c in members if None in touch.reasons or k in touch.reasons]
    return members if found and members[0][1].cls in _WHOLE else found


def _keys(secret: Obj, touch: Touch) -> Iterator[str]:
    return (key for key in at(secret, ("data",), {}) if None in touch.reasons or key in touch.reasons)


def _held(touch: Touch) -> bool:
    """Whether a pod was given it, and need not have read it."""
    return any(r.how != "rbac" for r in _all(touch))


def _all(touch: Touch) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(r for reasons in touch.reasons.values() for r in reasons))
