"""`irkit rehearse schema`: what editors complete scenarios from."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of scenarios, from which editors complete."""
    from irkit.cli import output
    from irkit.game.schema import scenario_schema

    output.document(scenario_schema())
