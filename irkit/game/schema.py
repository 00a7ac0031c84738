"""The JSON Schema (2020-12) of scenarios, for editors: made from what the loader reads by.

What it refuses, the loader refuses. The loader refuses more: deadlines that nobody can meet, commands that leave the game, names in
``${…}`` that stand for nothing, ids that repeat.
"""

from __future__ import annotations

import inspect
from typing import Any

from irkit.game import grammar
from irkit.game.acts import ACTS
from irkit.game.goals import GOALS


def scenario_schema() -> dict[str, Any]:
    schema = grammar.scenario().schema()
    for section, word, kinds in (("attack", "act", ACTS), ("goals", "state", GOALS)):
        described = [{"const": kind.kind, "description": inspect.cleandoc(kind.__doc__ or "")} for kind in kinds]
        schema["properties"][section]["items"]["properties"][word]["oneOf"] = described
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "irkit scenario",
        "description": "A world, an attack on it by the clock, and what a good response comes to, as end states that can be seen from outside.",
        **schema,
    }
