"""``/irkit …``: the words that somebody typed, as Slack passes them on, with what its editors made of them."""

from __future__ import annotations

import re
from typing import NamedTuple, get_args

from irkit.errors import UsageError
from irkit.listeners.slack.escape import unescaped
from irkit.settings.slack import Word
from irkit.text import nearest, printable

LONGEST = 1000  # characters; no name and no option needs more
USAGE: dict[str, tuple[str, str]] = {
    "collect": ("POD [-n NAMESPACE]", "collects evidence; changes nothing in the cluster"),
    "contain": ("POD [-n NAMESPACE]", "shows what would be done to cut it off; somebody must approve that"),
    "status": ("[ID]", "the orders and incidents that are open"),
    "blast-radius": ("POD [-n NAMESPACE]", "names every credential that it could reach, and why; no value"),
    "verify": ("POD|INCIDENT [-n NAMESPACE]", "whether it is cut off, or the incident's end states hold"),
    "rehearse": ("", "plays a containment in irkit's own cluster"),
}
_SCHEME = re.compile(r"^(?:https?://|mailto:)", re.IGNORECASE)
_DASHES, _QUOTES = "-\u2010\u2011\u2012\u2013\u2014\u2212", "'\"`*\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"
assert set(USAGE) == set(get_args(Word))


class Asked(NamedTuple):
    word: str  # a key of USAGE, or "help"
    target: str
    namespace: str  # empty: as the channel says


def parse(text: str) -> Asked:
    """Raises UsageError, in one sentence, for what is no command."""
    if len(text) > LONGEST:
        raise UsageError(f"that is {len(text)} characters; a command of irkit has at most {LONGEST}", next="/irkit help")
    words = tokens(text)
    if not words or words[0].lower() in ("help", "-h", "--help"):
        return Asked("help", "", "")
    word = words[0].lower()
    if word not in USAGE:
        near = nearest(word, USAGE)
        raise UsageError(f"there is no command '{printable(word, 60)}' here" + (f"; did you mean {near[0]}?" if near else ""), next="/irkit help")
    names, namespace = _options(words[1:], word)
    wants = USAGE[word][0]
    if len(names) > (1 if wants else 0):
        raise UsageError(f"{word} takes {'one name' if wants else 'nothing'}, not '{printable(' '.join(names), 120)}'", next=usage(word))
    if not names and wants.startswith("POD"):
        raise UsageError(f"{word} needs to know of which pod", next=usage(word))
    return Asked(word, names[0] if names else "", namespace)


def _options(words: list[str], command: str) -> tuple[list[str], str]:
    names, namespace, left = [], "", list(words)
    while left:
        word = left.pop(0)
        flag, equals, value = word.partition("=")
        if word.startswith("-n") and len(word) > 2 and not equals and not word.startswith("--"):
            flag, equals, value = "-n", "=", word[2:]
        if flag in ("-n", "--namespace") and "[-n" in USAGE[command][0]:
            if not equals:
                value = left.pop(0) if left else ""
            if not value or value.startswith("-"):
                raise UsageError("-n needs the name of a namespace", next=usage(command))
            namespace = value
        elif word.startswith("-"):
            raise UsageError(f"{command} takes no option '{printable(flag, 60)}' in Slack", next=usage(command))
        else:
            names.append(word)
    return names, namespace


def tokens(text: str) -> list[str]:
    """The words; links are their text, dashes and quotes as one types them in a terminal."""
    found = []
    for word in unescaped(text, lambda address: _SCHEME.sub("", address).rstrip("/")).split():
        bare = word.strip(_QUOTES)
        rest = bare.lstrip(_DASHES)
        if rest != bare:  # an editor makes one long dash of two
            bare = ("--" if rest.startswith("namespace") else "-") + rest
        flag, equals, value = bare.partition("=")
        bare = flag + equals + value.strip(_QUOTES)
        if bare:
            found.append(bare)
    return found


def usage(word: str) -> str:
    return f"/irkit {word} {USAGE[word][0]}".rstrip()


def overview() -> str:
    """What ``/irkit help`` says."""
    return "\n".join(
        [
            *(f"{usage(word)}: {what}" for word, (_, what) in USAGE.items()),
            "The shortcut of a message, Collect alert evidence, does the first for an alert.",
        ]
    )
