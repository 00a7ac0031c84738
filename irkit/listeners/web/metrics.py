"""Figures in Prometheus' text format, version 0.0.4. Every label's values are known before: none comes from a message."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from irkit.listeners.loop import Counts
from irkit.model.order import Held, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RESULTS = ("ordered", "duplicate", "dry-run", "ignored", "unauthenticated", "limited", "invalid", "unavailable", "refused")
"""What becomes of a request. ``refused``: by the server itself, as in too slow, too large, no such path."""
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NO_TURNS = Counts()
NO_SOURCE = "-"  # no name of a source


class Metrics:
    """``sources``: names in the settings; ``rules``: of those that are dry runs."""

    def __init__(self, sources: Sequence[str], rules: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._requests = {(source, result): 0 for source in (*sources, NO_SOURCE) for result in RESULTS}
        self._matches = dict.fromkeys(rules, 0)
        self._counts, self._sum, self._times = [0] * len(BUCKETS), 0.0, 0

    def request(self, source: str, result: str, seconds: float) -> None:
        with self._lock:
            key = (source, result) if (source, result) in self._requests else (NO_SOURCE, result)
            self._requests[key] += 1
            self._times += 1
            self._sum += seconds
            for number, bound in enumerate(BUCKETS):
                self._counts[number] += seconds <= bound

    def dry_run(self, rule: str) -> None:
        with self._lock:
            self._matches[rule] += 1

    def text(self, held: Sequence[Held] | None, *, leads: bool, turns: Counts = _NO_TURNS) -> str:
        """``held``: the queue, None where it can't be read. ``turns``: of the loop that sees to it."""
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines(held, leads, turns))

    def _lines(self, held: Sequence[Held] | None, leads: bool, turns: Counts) -> Iterator[str]:
        yield from _head("irkit_webhook_requests_total", "counter", "Requests by source and by what became of them.")
        for (source, result), count in self._requests.items():
            yield _sample("irkit_webhook_requests_total", {"source": source, "result": result}, count)
        yield from _head("irkit_webhook_request_seconds", "histogram", "From the end of a request to its answer.")
        for bound, count in zip(BUCKETS, self._counts, strict=True):
            yield _sample("irkit_webhook_request_seconds_bucket", {"le": f"{bound:g}"}, count)
        yield _sample("irkit_webhook_request_seconds_bucket", {"le": "+Inf"}, self._times)
        yield _sample("irkit_webhook_request_seconds_sum", {}, self._sum)
        yield _sample("irkit_webhook_request_seconds_count", {}, self._times)
        yield from _head("irkit_rule_dry_run_matches_total", "counter", "Alerts that a rule in dry run would have ordered something for.")
        for rule, count in self._matches.items():
            yield _sample("irkit_rule_dry_run_matches_total", {"rule": rule}, count)
        yield from _head("irkit_leader", "gauge", "Whether this process sees to the orders.")
        yield _sample("irkit_leader", {}, int(leads))
        counted = {
            "irkit_turns_total": (turns.turns, "Times that this process has seen to the orders."),
            "irkit_turns_failed_total": (turns.failed, "Times that it could not."),
            "irkit_untold_total": (turns.untold, "Times that a chat could not be told."),
        }
        for name, (count, text) in counted.items():
            yield from _head(name, "counter", text)
            yield _sample(name, {}, count)
        yield from _head("irkit_queue_up", "gauge", "Whether the queue of orders can be read.")
        yield _sample("irkit_queue_up", {}, int(held is not None))
        if held is None:
            return
        yield from _head("irkit_orders", "gauge", "Orders in the queue, by state.")
        counts = Counter(h.status.state for h in held)
        for state in get_args(State):
            yield _sample("irkit_orders", {"state": state}, counts[state])
        yield from _head("irkit_queue_size", "gauge", "Orders that are not over.")
        yield _sample("irkit_queue_size", {}, sum(not h.status.over for h in held))


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{pairs}}} {value!r}" if pairs else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
