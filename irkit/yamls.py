"""YAML that people write for irkit, read so that no file can end the process.

PyYAML composes by recursion in C: a few thousand brackets overflow the stack, and no exception tells. Playbooks, which
come from strangers, are read more strictly still (engine/positions.py).
"""

from __future__ import annotations

from typing import Any

MAX_DEPTH = 100


def load(data: bytes) -> Any:
    """One document of plain values. Raises yaml.YAMLError; ValueError where it is nested deeper than MAX_DEPTH."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for event in yaml.parse(data, Loader=loader):  # events come without recursion
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return yaml.load(data, Loader=loader)  # noqa: S506 -- a safe loader
