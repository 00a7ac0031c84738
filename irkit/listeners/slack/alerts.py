"""Which pods an alert in a channel is about: by the labels that Falco, Alertmanager and Robusta write, in text, fields or JSON.

Whoever is in the pod may have written parts of it. So several pods are a question for a person, never a choice of ours;
and what comes of it is a collection of evidence, which changes nothing in the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from irkit.listeners.slack.escape import unescaped
from irkit.model.kube import dicts
from irkit.text import texts

LONGEST = 40_000  # characters of one message that are looked at
MOST = 10
_VALUE = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
_POD = r"(?:exported[_.])?(?:(?:io\.)?k(?:ubernete|8)s[._])?pod(?:[._ ]?name)?"
_NAMESPACE = r"(?:exported[_.])?(?:(?:io\.)?k(?:ubernete|8)s[._])?(?:pod[._])?(?:namespace|ns)(?:[._ ]?name)?"
_END = r"(?![-\w/]|\.[\w./])"  # a name ends there; a full stop may follow
_LABEL, _NAMED = rf"(?:(?P<pod>(?i:{_POD}))|(?P<ns>(?i:{_NAMESPACE})))", rf"(?:(?P<in>{_VALUE})/)?(?P<value>{_VALUE})"
_LABELLED = re.compile(rf"(?<![\w.]){_LABEL}\s*(?:=>|=|:)\s*{_NAMED}{_END}")
_COLUMN = re.compile(rf"^[^\w\n]*{_LABEL}[ \t|]+{_NAMED}[ \t|]*$", re.MULTILINE)  # within one line: else empty lines take minutes
_WITHIN = r"(?i:\(namespace:?|in\s+(?:the\s+)?namespace)"
_SENTENCE = re.compile(rf"\b(?i:pods?)\s+(?P<pod>{_VALUE})\s+(?:(?i:on\s+node)\s+{_VALUE}\s+)?{_WITHIN}\s+(?P<in>{_VALUE}){_END}")
_SLASH = re.compile(rf"\b(?i:pods?)\s+(?P<in>{_VALUE})/(?P<pod>{_VALUE}){_END}")
_KIND = re.compile(rf"(?<![-\w./])(?:(?P<in>{_VALUE})/)?(?i:pod)/(?P<pod>{_VALUE}){_END}")
_MARKUP = str.maketrans("", "", "*`\"'“”‘’")
_NO_NAMES = frozenset(("is", "in", "was", "has", "the", "a", "name", "namespace", "pod", "of", "on", "and", "null", "none", "true", "false"))


class Candidate(NamedTuple):
    pod: str
    namespace: str  # empty: not known


def find(message: dict[str, Any]) -> list[Candidate]:
    """Each pod once, in the order in which the message names them; at most `MOST`."""
    text = "\n".join(_texts(message))[:LONGEST]
    plain = unescaped(text).translate(_MARKUP)
    pods: list[tuple[int, str, str]] = []
    spaces: list[tuple[int, str]] = []
    for match in [m for pattern in (_LABELLED, _COLUMN) for m in pattern.finditer(plain)]:
        if match["value"] in _NO_NAMES:
            continue
        if match["pod"]:
            pods.append((match.start(), match["value"], match["in"] or ""))
        elif not match["in"]:
            spaces.append((match.start(), match["value"]))
    pods += [(m.start(), m["pod"], m["in"] or "") for pattern in (_SENTENCE, _SLASH, _KIND) for m in pattern.finditer(plain)]
    return _paired(sorted(pods), spaces)


def _paired(pods: list[tuple[int, str, str]], spaces: list[tuple[int, str]]) -> list[Candidate]:
    """A pod is in the namespace that it is written with, or else in the one that is named nearest to it."""
    found: dict[Candidate, None] = {}
    for at, pod, inside in pods:
        near = min(spaces, key=lambda s: abs(s[0] - at), default=(0, ""))[1]
        found[Candidate(pod, inside or near)] = None
    known = {c.pod for c in found if c.namespace}
    return [c for c in found if c.namespace or c.pod not in known][:MOST]


def _texts(message: dict[str, Any]) -> Iterator[str]:
    """Every text of it; a field of an attachment as ``title: value``."""
    yield str(message.get("text") or "")
    for attachment in dicts(message.get("attachments"))[:20]:
        for name in ("pretext", "title", "text", "fallback"):
            yield str(attachment.get(name) or "")
        for field in dicts(attachment.get("fields"))[:100]:
            yield f"{str(field.get('title') or '').rstrip(':')}: {field.get('value') or ''}"
        yield from texts(attachment.get("blocks"))
    yield from texts(message.get("blocks"))
