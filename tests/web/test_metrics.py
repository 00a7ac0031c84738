"""Figures, as the official parser reads them; and buckets, which are bounded."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from irkit.listeners.web.buckets import Buckets
from irkit.listeners.web.metrics import BUCKETS, CONTENT_TYPE, RESULTS, Metrics
from irkit.model.http import network
from irkit.model.order import State
from tests.clocks import StepClock
from tests.web.desk import World, configured, firing, serving


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_the_official_parser_reads_what_was_counted(tmp_path: Path) -> None:
    with serving(World(configured(tmp_path))) as server:
        server.post("am", firing())
        server.post("am", firing())
        server.post("am", firing(severity="low"))
        server.post("am", firing(), {})
        server.post("am", b"{")
        server.post("nobody", firing())
        server.world.seen.within(0.0)
        answer = server.ask("GET", "/metrics")
    assert answer.headers["content-type"] == CONTENT_TYPE
    found = parsed(answer.text)
    counted = {result: found["irkit_webhook_requests_total", (("result", result), ("source", "am"))] for result in RESULTS}
    assert counted == {**dict.fromkeys(RESULTS, 0), "ordered": 1, "duplicate": 1, "ignored": 1, "unauthenticated": 1, "invalid": 1}
    assert found["irkit_webhook_requests_total", (("result", "refused"), ("source", "-"))] == 1
    assert found["irkit_webhook_request_seconds_count", ()] == 6
    assert found["irkit_webhook_request_seconds_bucket", (("le", "+Inf"),)] == 6
    assert found["irkit_orders", (("state", "queued"),)] == 1
    assert {dict(labels)["state"] for name, labels in found if name == "irkit_orders"} == set(get_args(State))
    assert (found["irkit_queue_size", ()], found["irkit_leader", ()], found["irkit_queue_up", ()]) == (1, 1, 1)


def test_buckets_of_the_histogram_add_up() -> None:
    metrics = Metrics(("a",), ())
    for seconds in (0.0005, 0.003, 0.2, 99.0):
        metrics.request("a", "ordered", seconds)
    found = parsed(metrics.text(None, leads=False))
    counts = [found["irkit_webhook_request_seconds_bucket", (("le", f"{bound:g}"),)] for bound in BUCKETS]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 3)


def test_no_message_makes_a_new_series(tmp_path: Path) -> None:
    with serving(World(configured(tmp_path))) as server:
        before = len(parsed(server.ask("GET", "/metrics").text))
        for number in range(50):
            server.post(f"source-{number}", firing())
            server.post("am", firing(pod=f"pod-{number}", name=f"name-{number}", severity=f"s{number}"))
        server.world.metrics.request("made-up", "ignored", 0.0)
        assert len(parsed(server.ask("GET", "/metrics").text)) == before


def test_names_with_quotes_are_escaped() -> None:
    metrics = Metrics(('a"b\\c\n',), ())
    assert any(dict(labels).get("source") == 'a"b\\c\n' for _, labels in parsed(metrics.text((), leads=True)))


def test_a_bucket_gives_what_it_gets() -> None:
    clock = StepClock()
    buckets = Buckets(rate=0.5, burst=2, clock=clock)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2]
    assert buckets.take("b") == 0
    clock.sleep(1.0)
    assert buckets.take("a") == 1
    clock.sleep(1.5)
    assert [buckets.take("a"), buckets.take("a")] == [0, 2]


def test_there_are_so_many_buckets_and_no_more() -> None:
    buckets = Buckets(rate=1.0, burst=1, clock=StepClock(), most=100)
    assert buckets.take("first") == 0
    for number in range(99):
        buckets.take(str(number))
    assert buckets.take("first") == 1, "it is still known"
    for number in range(1000):
        buckets.take(f"x{number}")
    assert len(buckets._found) == 100


def test_a_network_of_ipv6_counts_as_one_peer() -> None:
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert network("::ffff:10.0.0.1") == network("10.0.0.1") == "10.0.0.1"
    assert network("fe80::1%eth0") == "fe80::/64"
    assert network("") == ""
