"""Reports to render: an ordinary one, and one in which a stranger chose every word."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, get_args, get_origin, get_type_hints

from irkit.evidence.report import values
from irkit.evidence.report.values import Bag, Entry, Figure, Milestone, Reached, Report, Rotated, Task

EVIL = (
    "</style></title></svg><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>\"'><a href=javascript:alert(1)>x</a> "
    "[x](javascript:alert(1)) ![y](http://evil.example/y) <http://evil.example> https://evil.example www.evil.example `code` *b* | cell | "
    "\n# heading\n- [x] done\n1. one\n---\n\x1b[2J\u202e\u2028{{ 7*7 }}{% raw %}&lt;script&gt;"
)
LONG = "A_VERY_LONG_NAME_OF_A_KEY_THAT_DOES_NOT_FIT_ANYWHERE_AT_ALL"
STARTS = (
    "# heading",
    "- item",
    "1. one",
    "+ item",
    "> quote",
    "=====",
    "```",
    "| a | b |",
    "<script>",
    "    code",
    "~~~",
    "[x]: http://evil.example",
)


def ordinary() -> Report:
    at = "2026-11-22T03:15:0{}.211Z"
    return Report(
        incident="20261122T031502Z-backend-k7q2ab", title="Pod todo-app/backend-7c7c-x2", status="contained", severity="critical",
        drafted="2026-11-22T04:00:00Z", tool="irkit 0", figures=(Figure("48 ms", "opening to cut"), Figure("leaks (1)", "by network policy", "bad")),
        facts=(("Playbook", "compromised-pod"),), summary=("It was cut off.",), left=("step tell-people was not run",),
        milestones=tuple(Milestone(at.format(n), f"Milestone {n}") for n in range(4)),
        entries=(Entry(at.format(1), "cluster", "created", "bag 1, pods/x/pod.json"), Entry(at.format(2), "irkit", "cut off", tone="good")),
        omitted=3, skew="The clocks agree.", impact=("Nothing ended.",), acts=(values.Act(at.format(2), "oncall", "relabel", "done"),),
        target="Pod todo-app/backend-7c7c-x2",
        reached=(Reached("todo-app/backend-secret/SECRET_KEY", "generated", "vault", "412 d", ("env: x",), ("Deployment todo-app/worker",), "rotated",
                         "good"),
                 *(Reached(f"todo-app/s{n}/{LONG}", "manual", shared=(f"Deployment todo-app/w{n}",)) for n in range(40))),
        reach_known=True, rotated=(Rotated("todo-app/backend-secret", "generated", "rotated", "dead", "404", "3 of 3", tone="good"),),
        bags=(Bag("/home/o/bags/1", "36 artefacts", "as it was sealed", "ab" * 32, "good"),), gaps=(("logs", "gone"),), causes=("How?",),
        answers=(("how-did-they-get-in", "oncall: by the image"),),
        lessons=(("What went well", ("It was quick.",)),), tasks=(Task("Pin it by digest", "platform", "a tag can move"),),
    )  # fmt: skip


def hostile(text: str = EVIL) -> Report:
    """The same, with ``text`` in place of every word, in every field of every value."""
    made: Report = _filled(ordinary(), text)
    return made


def _filled(value: Any, text: str) -> Any:
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(_filled(v, text) for v in value)
    if hasattr(value, "__dataclass_fields__"):
        kinds = get_type_hints(type(value))
        chosen = {
            f.name for f in fields(value) if get_origin(kinds[f.name]) is None or not any(a in get_args(kinds[f.name]) for a in ("bad", "irkit"))
        }
        return replace(value, **{name: _filled(getattr(value, name), text) for name in chosen})
    return value
