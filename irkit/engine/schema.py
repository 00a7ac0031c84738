"""The JSON Schema (2020-12) of playbooks, for editors: made from what the loader reads by.

What it refuses, the loader refuses. The loader refuses more: what is bound to ``${…}``, ids that repeat, evidence that
would be lost.
"""

from __future__ import annotations

import inspect
from typing import Any

from irkit.engine import grammar


def playbook_schema(kinds: grammar.Kinds | None = None) -> dict[str, Any]:
    """The schema of a playbook whose steps are of ``kinds`` (without it: all that there are)."""
    if kinds is None:
        from irkit.steps import KINDS

        kinds = KINDS
    schema = grammar.playbook(tuple(kinds)).schema()
    step = _lifted_step(schema)
    described = {kind.kind: inspect.cleandoc(kind.__doc__ or "") for kind in kinds}
    step["properties"]["step"]["oneOf"] = [{"const": name, "description": text} for name, text in described.items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "irkit playbook",
        "description": "A list of wished end states: irkit reads the world, shows what is missing, asks, and does exactly that.",
        **schema,
        "$defs": {"step": step},
    }


def _lifted_step(schema: dict[str, Any]) -> dict[str, Any]:
    """Takes the step's schema out of the six phases, so that it is there once."""
    phases = schema["properties"]["phases"]["properties"]
    step: dict[str, Any] = {}
    for phase in phases.values():
        step = phase["items"]
        phase["items"] = {"$ref": "#/$defs/step"}
    return step
