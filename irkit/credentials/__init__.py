"""Which credentials there are, who can reach them, who uses them: pure functions over the objects of the API."""

from __future__ import annotations

from irkit.credentials.consumers import TEMPLATES, Consumer, Consumers, Count, count, cut_off, ended_by, template
from irkit.credentials.radius import due, of_namespace, of_pods, of_secrets, reached

__all__ = ["TEMPLATES", "Consumer", "Consumers", "Count", "count", "cut_off", "due", "ended_by", "of_namespace", "of_pods", "of_secrets", "reached",
           "template"]  # fmt: skip
