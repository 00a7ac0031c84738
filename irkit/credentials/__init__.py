"""Which credentials there are, who can reach them, who uses them: pure functions over the objects of the API.

What they are made of is imported when it is first asked for: a containment needs none of it before the cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irkit.credentials.consumers import TEMPLATES, Consumer, Consumers, Count, count, cut_off, ended_by, template, with_own
    from irkit.credentials.radius import due, of_namespace, of_pods, of_secrets, reached

__all__ = ["TEMPLATES", "Consumer", "Consumers", "Count", "count", "cut_off", "due", "ended_by", "of_namespace", "of_pods", "of_secrets", "reached",
           "template", "with_own"]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from irkit.credentials import consumers

    if hasattr(consumers, name):
        return getattr(consumers, name)
    from irkit.credentials import radius

    return getattr(radius, name)
