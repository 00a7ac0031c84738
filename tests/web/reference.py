"""The tables of docs/reference/rules.md, made from the code: `python -m tests.web.reference` writes them, a test compares."""

from __future__ import annotations

from typing import Any

from irkit.listeners.web.rules import grammar
from tests.docs import pages
from tests.game.reference import fields

PAGE = pages.REFERENCE / "rules.md"


def tables() -> dict[str, str]:
    rules: Any = grammar.rules().fields["rules"].shape
    rule = rules.of.of.fields
    return {
        "rule": fields(rule, "in a rule"), "match": fields(rule["match"].shape.of.fields, "in `match`"),
        "run": fields(rule["run"].shape.of.fields, "in `run`"), "limits": fields(rule["limits"].shape.fields, "in `limits`"),
    }  # fmt: skip


if __name__ == "__main__":
    for name, table in tables().items():
        pages.write(PAGE, name, table + "\n")
