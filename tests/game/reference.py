"""The tables of docs/reference/scenarios.md, made from the code: `python -m tests.game.reference` writes them, a test compares."""

from __future__ import annotations

import inspect
import re
import typing
from pathlib import Path
from typing import Any

from irkit.engine.shapes import Field
from irkit.game import grammar, loader
from irkit.game.acts import ACTS
from irkit.game.goals import GOALS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "scenarios.md"


def kinds(of: tuple[type[Any], ...], word: str) -> str:
    rows = [f"| `{kind.kind}` | {_said(kind)} | {_takes(kind)} |" for kind in of]
    return "\n".join([f"| {word} | | `with` |", "|---|---|---|", *rows])


def _said(kind: type[Any]) -> str:
    text = " ".join(inspect.cleandoc(kind.__doc__ or "").split())
    return re.sub(r"``([^`]*)``", r"`\1`", text)


def _takes(kind: type[Any]) -> str:
    hints = typing.get_type_hints(kind)
    said = []
    for name, field in grammar.taken(kind).items():
        own = name.replace("-", "_")
        said.append(f"{f'**`{name}`**' if field.required else f'`{name}`'} ({_type(hints[own])}{_default(kind, own)})")
    return ", ".join(said)


def _default(kind: type[Any], name: str) -> str:
    value = kind.__dataclass_fields__[name].default
    return f", default {str(value).lower() if isinstance(value, bool) else value}" if isinstance(value, str | int) and value not in ("", 0) else ""


def _type(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{word}`" for word in typing.get_args(hint))
    if typing.get_origin(hint) is dict:
        return "an object" if typing.get_args(hint)[1] is Any else "texts by name"
    if typing.get_origin(hint) is tuple:
        return "list"
    return {str: "text", int: "number", bool: "true or false", float: "number"}[hint]


def fields(of: dict[str, Field] | Any, head: str) -> str:
    rows = [f"| `{name}` | {_needed(field)} | {field.help} |" for name, field in of.items()]
    return "\n".join([f"| {head} | | |", "|---|---|---|", *rows])


def _needed(field: Field) -> str:
    return "required" if field.required else f"`{field.default}`" if field.default not in (None, False) else ""


def scenarios() -> str:
    found = sorted((loader.load(path) for path in loader.listed().values()), key=lambda s: (s.difficulty, s.name))
    rows = [f"| {s.difficulty} | `{s.name}` | {s.title} | {', '.join(s.playbooks)} | {', '.join(s.traps)} |" for s in found]
    return "\n".join(["| | name | | playbooks | it teaches |", "|---|---|---|---|---|", *rows])


def tables() -> dict[str, str]:
    whole = grammar.scenario().fields
    goal: Any = whole["goals"].shape
    return {
        "built-in": scenarios(), "top": fields(whole, "field"), "metadata": fields(whole["metadata"].shape.fields, "in `metadata`"),  # type: ignore[attr-defined]
        "world": fields(whole["world"].shape.fields, "in `world`"),  # type: ignore[attr-defined]
        "goal": fields({k: v for k, v in goal.of.unknown.fields.items() if k != "with"}, "in a goal"), "acts": kinds(ACTS, "act"),
        "goals": kinds(GOALS, "end state"),
    }  # fmt: skip


def written(page: str) -> str:
    for name, table in tables().items():
        head, found, rest = page.partition(f"<!-- {name} -->\n")
        _, ended, tail = rest.partition(f"<!-- /{name} -->")
        assert ended, f"the page has no place for {name}"
        page = f"{head}{found}{table}\n{ended}{tail}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
