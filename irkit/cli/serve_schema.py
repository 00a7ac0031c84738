"""`irkit serve schema`: what editors complete rules from."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of files of rules, from which editors complete."""
    from irkit.cli import output
    from irkit.listeners.web.rules import grammar

    output.document(grammar.schema())
