"""What an ExternalSecret reads: which key of its Secret is which property of which entry, behind which store (external-secrets.io)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from irkit.credentials.look import CLUSTERSECRETSTORES, EXTERNALSECRETS, SECRETSTORES, Look
from irkit.credentials.reach import word
from irkit.model.credential import Source
from irkit.model.kube import Obj, ObjectRef, at, dicts, ref_of
from irkit.text import printable

_PLAIN = re.compile(r"\s*\{\{-?\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}\s*")  # a template that is a value and nothing else
_USED = re.compile(r"\.\s*([A-Za-z_][A-Za-z0-9_]*)|index\s+\.\s+\"([^\"]{1,253})\"")  # how a template names a value


class Entry(NamedTuple):
    """Where one value comes from."""

    store: Obj  # its reference: kind and name
    key: str
    prop: str = ""  # empty: the whole entry, as JSON
    whole: bool = False  # every property of the entry is a key
    generator: str = ""
    unclear: str = ""  # why it can't be told which property of which entry it is


class Stores:
    """SecretStores and ClusterSecretStores, by name."""

    def __init__(self, look: Look, namespaces: frozenset[str]) -> None:
        self._look = look
        self._local = {(at(s, ("metadata", "namespace")), at(s, ("metadata", "name"))): s for s in look.within(SECRETSTORES, namespaces)}
        self._shared = {at(s, ("metadata", "name")): s for s in look.everywhere(*CLUSTERSECRETSTORES)}

    def find(self, reference: Obj, namespace: str) -> tuple[ObjectRef, Obj | None]:
        name = word(reference.get("name"))
        if reference.get("kind") == "ClusterSecretStore":
            versions, found, where = CLUSTERSECRETSTORES, self._shared.get(name), ""
        else:
            versions, found, where = SECRETSTORES, self._local.get((namespace, name)), namespace
        if found is None:
            return ObjectRef(resource=versions[0], name=name, namespace=where), None
        return ref_of(found, self._look.version(versions, found)), found


def target_of(external: Obj) -> str:
    """The Secret that it writes; empty where it writes none."""
    if at(external, ("spec", "target", "creationPolicy")) == "None":
        return ""
    return word(at(external, ("spec", "target", "name"))) or word(at(external, ("metadata", "name")))


def entries_of(external: Obj) -> Iterator[str]:
    """The names of the entries that it reads, as they are written in it."""
    for item in dicts(at(external, ("spec", "data"))):
        yield word(at(item, ("remoteRef", "key")))
    for part in dicts(at(external, ("spec", "dataFrom"))):
        yield word(at(part, ("extract", "key")))


def names_of(external: Obj) -> set[str]:
    """The keys of its Secret that it names; what it takes whole has others, too."""
    fetched = {word(item.get("secretKey")) for item in dicts(at(external, ("spec", "data")))}
    return fetched | set(at(external, ("spec", "target", "template", "data"), {}))


def source_of(external: Obj, key: str, stores: Stores, look: Look) -> Source:
    """The source of one key of its Secret; kind kubernetes where the ExternalSecret does not write that key."""
    ref = ref_of(external, look.version(EXTERNALSECRETS, external))
    entries, notes = _entries_of(external, key)
    if not entries:
        merges = at(external, ("spec", "target", "creationPolicy")) == "Merge"
        unnamed = Source(kind="external-secret", external_secret=ref, notes=(*notes, f"nothing in {ref} names where this comes from"))
        return Source() if merges else unnamed
    base = Source(kind="external-secret", external_secret=ref, notes=(*notes, *_stands(external)))
    first = entries[0]
    if len(set(map(_plain, entries))) > 1:
        return replace(base, notes=(f"made of several values: {', '.join(sorted(set(map(_name, entries))))}", *base.notes))
    if first.generator:
        return replace(base, kind="other", provider=first.generator)
    if first.unclear:
        return replace(base, notes=(first.unclear, *base.notes))
    store, found = stores.find(first.store, ref.namespace)
    if not first.whole and not first.prop:
        base = replace(base, notes=("the whole entry as JSON is one key", *base.notes))
    properties = {key: first.prop} if first.prop else {}
    return _placed(replace(base, store=store, path=first.key, properties=properties, whole=first.whole), found)


def _name(entry: Entry) -> str:
    return printable(f"{entry.key}#{entry.prop}" if entry.prop else entry.key, 80)


def _plain(entry: Entry) -> tuple[str, ...]:
    """What tells entries apart."""
    return f"{entry.store.get('kind')}/{entry.store.get('name')}", entry.key, entry.prop, entry.generator, entry.unclear


def _entries_of(external: Obj, key: str) -> tuple[list[Entry], tuple[str, ...]]:
    """Where the value of ``key`` comes from, and what is to be known about that."""
    template = at(external, ("spec", "target", "template"), {})
    rendered = at(template, ("data",), {})
    if key in rendered:
        text = str(rendered[key])[:65536]
        if plain := _PLAIN.fullmatch(text):
            name = plain.group(1)
            return [e._replace(whole=False, prop=name) if e.whole else e for e in _read(external, name)], ()
        names = [a or b for a, b in _USED.findall(text)]
        found = [e for name in dict.fromkeys(names) for e in _read(external, name)]
        used = ", ".join(sorted({_name(e) for e in found})) or "no value"
        return [e._replace(unclear=f"rendered by a template of {used}") for e in found], ("rendered by a template",)
    if template.get("templateFrom"):
        return [], ("rendered by templates of another object",)
    if rendered and template.get("mergePolicy") != "Merge":
        return [], ()
    return _read(external, key), ()


def _read(external: Obj, name: str) -> list[Entry]:
    """What ESO's ``data`` and ``dataFrom`` fetch under a name. A later one wins (``data`` over ``dataFrom``), so it is the only one."""
    default = at(external, ("spec", "secretStoreRef"), {})
    for item in reversed(dicts(at(external, ("spec", "data")))):
        if item.get("secretKey") == name:
            remote = item.get("remoteRef") if isinstance(item.get("remoteRef"), dict) else {}
            return [Entry(at(item, ("sourceRef", "storeRef"), default), word(at(remote, ("key",))), word(at(remote, ("property",))),
                          generator=_generator(at(item, ("sourceRef", "generatorRef"))))]  # fmt: skip
    return [_bulk(part, default) for part in dicts(at(external, ("spec", "dataFrom")))]


def _bulk(part: Obj, default: Obj) -> Entry:
    """A part that brings many keys; which ones only its store knows."""
    store = at(part, ("sourceRef", "storeRef"), default)
    if generator := _generator(at(part, ("sourceRef", "generatorRef"))):
        return Entry(store, "", generator=generator)
    if isinstance(extract := part.get("extract"), dict):
        key, inner = word(extract.get("key")), word(extract.get("property"))
        if inner or part.get("rewrite"):
            return Entry(store, key, unclear=printable(f"one of the keys of {key}" + (f"#{inner}" if inner else "") + ", by another name"))
        return Entry(store, key, whole=True)
    return Entry(store, "", unclear=printable(f"found by a pattern: {at(part, ('find',))}", 160))


def _generator(reference: Any) -> str:
    return f"generator {word(reference.get('kind'))} {word(reference.get('name'))}" if isinstance(reference, dict) else ""


def _placed(source: Source, store: Obj | None) -> Source:
    """With what the store says of itself; provider vault in full, others by name."""
    if store is None:
        return replace(source, notes=(*source.notes, f"{source.store} could not be read"))
    provider = at(store, ("spec", "provider"), {})
    name = str(next(iter(provider), ""))
    vault = provider.get("vault")
    if not isinstance(vault, dict):
        return replace(source, provider=name)
    version = word(vault.get("version")) or "v2"  # the default of ESO
    mount, path = vault_place(word(vault.get("path")), source.path, version)
    return replace(source, provider="vault", server=word(vault.get("server")), namespace=word(vault.get("namespace")),
                                   mount=mount, path=path, version=version)  # fmt: skip


def vault_place(mount: str, key: str, version: str) -> tuple[str, str]:
    """Mount and path below it, as ESO builds the URL: a key may repeat the mount, and ``data/`` after it (provider vault, `buildPath`)."""
    key, mount = key.strip("/"), mount.strip("/")
    if mount:
        path = key[len(mount) + 1 :] if key.startswith(f"{mount}/") else key
        return mount, path.removeprefix("data/") if path != key and version == "v2" else path
    before, data, after = key.partition("/data/")
    if data and version == "v2":
        return before, after
    first, _, rest = key.partition("/")
    return first, rest


def _stands(external: Obj) -> tuple[str, ...]:
    """What will stand in the way of a sync."""
    spec: Mapping[str, Any] = at(external, ("spec",), {})
    found = []
    if spec.get("refreshPolicy") == "CreatedOnce":
        found.append("refreshPolicy CreatedOnce: it is read once, and not again")
    elif spec.get("refreshPolicy") != "OnChange" and re.fullmatch(r"0[a-z]*", str(spec.get("refreshInterval", ""))):
        found.append("refreshInterval 0: it is read once, and not again")
    if at(spec, ("target", "immutable")) is True:
        found.append("its target is immutable: the Secret keeps the old value though its status says synced")
    return tuple(found)
