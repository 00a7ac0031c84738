"""What a webhook is sent, as data: a JSON tree whose texts may name values, ``${incident.id}``.

Not a template language: a value takes the place of its name inside of one text, which stays one text, however it reads; and
``{$of: severity, critical: P1, "*": P3}`` takes one of the given texts. Nothing is computed, and no value is looked at for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

VALUES = ("incident.id", "incident.short", "incident.title", "event", "severity", "text", "block", "chat", "target", "namespace", "cluster",
          "playbook", "operator", "summary", "next", "at")  # fmt: skip
_NAME = re.compile(r"\$\{([^}]*)\}")
_OF, _ELSE = "$of", "*"
_DEPTH, _NODES = 20, 2000

_FACTS = {"incident": "${incident.id}", "target": "${target}", "namespace": "${namespace}", "cluster": "${cluster}", "playbook": "${playbook}",
          "operator": "${operator}", "reported": "${summary}", "next": "${next}"}  # fmt: skip
BUILT_IN: dict[str, Any] = {
    # PagerDuty Events API v2: POST https://events.pagerduty.com/v2/enqueue; value routing-key
    "pagerduty": {
        "routing_key": "${value.routing-key}", "dedup_key": "${incident.id}", "client": "irkit",
        "event_action": {_OF: "event", "closed": "resolve", _ELSE: "trigger"},
        "payload": {"summary": "${incident.title}: ${text}", "source": "${cluster}", "component": "${target}", "group": "${namespace}",
                    "class": "${playbook}", "custom_details": _FACTS,
                    "severity": {_OF: "severity", "critical": "critical", "high": "error", "medium": "warning", _ELSE: "info"}},
    },
    # Opsgenie: POST https://api.opsgenie.com/v2/alerts; authorization-file with "GenieKey …"; url-closed: …/${incident.id}/close?identifierType=alias
    "opsgenie": {
        "message": "${incident.title}", "alias": "${incident.id}", "description": "${text}", "source": "irkit", "entity": "${target}",
        "details": _FACTS, "priority": {_OF: "severity", "critical": "P1", "high": "P2", "medium": "P3", "low": "P4", _ELSE: "P3"},
    },
    # GitHub: POST https://api.github.com/repos/OWNER/REPO/issues; authorization-file with "Bearer …". Indented, it is code: no mention, no link
    "github-issue": {"title": "${incident.title}", "body": "irkit incident:\n\n${block}", "labels": ["incident"]},
    # Jira Cloud: POST https://SITE.atlassian.net/rest/api/3/issue; authorization-file with "Basic …"; value project. A code block has no markup
    "jira-issue": {
        "fields": {
            "project": {"key": "${value.project}"}, "issuetype": {"name": "Task"}, "labels": ["irkit", "${incident.id}"],
            "summary": "${incident.title}",
            "description": {"type": "doc", "version": 1,
                            "content": [{"type": "codeBlock", "content": [{"type": "text", "text": "${text}\n${next}"}]}]},
        },
    },
    # Slack, an incoming webhook: its URL is a secret, url-file
    "slack": {"text": "${chat}"},
    # Teams, by Workflows: a text run has no markup
    "teams": {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": {
            "type": "AdaptiveCard", "version": "1.4", "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "body": [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "${incident.title}", "weight": "bolder"}]},
                     {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "${text}"}]},
                     {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "${next}"}]}]}}],
    },
}  # fmt: skip


def tree(template: str | Mapping[str, Any]) -> Any:
    """The template of that name, or itself. Raises ValueError for a name that there is not."""
    if not isinstance(template, str):
        return template
    if template not in BUILT_IN:
        raise ValueError(f"there is no template {template[:60]!r}; there are {', '.join(BUILT_IN)}")
    return BUILT_IN[template]


def check(template: str | Mapping[str, Any], given: Iterable[str]) -> None:
    """Raises ValueError where it names what there is not. ``given``: names of the webhook's own values."""
    known = {*VALUES, *(f"value.{name}" for name in given)}
    for nodes, (depth, node) in enumerate(_walk(tree(template), 0)):
        if depth > _DEPTH or nodes > _NODES:
            raise ValueError(f"a template is at most {_DEPTH} levels deep and has at most {_NODES} parts")
        if isinstance(node, Mapping) and _OF in node and not _chooses(node, known):
            raise ValueError(f"{_OF} takes the name of one value, and texts: {str(node[_OF])[:60]!r}")
        for name in _NAME.findall(node) if isinstance(node, str) else ():
            if name not in known:
                raise ValueError(f"a template names ${{{name[:60]}}}; there are {', '.join(sorted(known))}")


def _chooses(node: Mapping[Any, Any], known: Iterable[str]) -> bool:
    return node[_OF] in known and all(isinstance(k, str) and isinstance(v, str) for k, v in node.items())


def _walk(node: Any, depth: int) -> Iterator[tuple[int, Any]]:
    yield depth, node
    if depth > _DEPTH:
        return
    for each in node.values() if isinstance(node, Mapping) else node if isinstance(node, list | tuple) else ():
        yield from _walk(each, depth + 1)


def fill(template: str | Mapping[str, Any], values: Mapping[str, str]) -> Any:
    """The tree with its values: a text becomes a text, and nothing of a value is looked at again."""
    return _filled(tree(template), values)


def _filled(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return _NAME.sub(lambda found: values[found[1]], node)
    if isinstance(node, Mapping):
        if _OF in node:
            return _filled(str(node.get(values[node[_OF]], node.get(_ELSE, ""))), values)
        return {str(name): _filled(each, values) for name, each in node.items()}
    if isinstance(node, list | tuple):
        return [_filled(each, values) for each in node]
    return node
