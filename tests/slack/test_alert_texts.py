"""What alerts look like that other tools write, and what an attacker makes of them: a pod's own words are in most of them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.listeners.slack import alerts
from irkit.listeners.slack.alerts import LONGEST, Candidate
from tests.slack.alert import BACKEND, DATA, alert

SIGNS = [
    "\n", " ", "\t", "\n|", "|\n", "•\n", "● ", "> ", "pod\n", "pod ", "pod:", "pod=", "pods a ", "pod a in ", "pod a in namespace ",
    "pod a on node b ", "pod a on node ", "pod a (namespace: ",
    "namespace\n\n", "k8s.", "exported_", "a-", "a.", "a/", "pod/", "a/pod/", "-", "<", "<a|", "&amp;", "`", "\u2028", "pod a/", "pods\n\n\n", "=>",
    "io.k8s.pod.name\n",
]  # fmt: skip


@pytest.mark.parametrize("sign", SIGNS)
def test_no_text_keeps_the_listener_from_anything_else(sign: str) -> None:
    """A regular expression holds every thread up: who is searching a text for minutes acknowledges nothing and leads no more."""
    for text in (sign * LONGEST, "pod" + sign * LONGEST, sign * (LONGEST // 2) + "pod a"):
        began = time.process_time()
        alerts.find({"text": text})
        assert time.process_time() - began < 1.0


@pytest.mark.parametrize("bullet", ["•", "●", "◦", "▪", "-", "*", "–", "  - ", "| ", "> "])
def test_a_list_or_a_table_names_the_pod_whatever_its_lines_begin_with(bullet: str) -> None:
    assert alerts.find({"text": f"{bullet} namespace `shop`\n{bullet} pod `web-0`\n{bullet} node `n1`"}) == [Candidate("web-0", "shop")]


@pytest.mark.parametrize("name", sorted(p.name for p in DATA.iterdir() if p.name != "two.txt"))
def test_the_pod_of_an_alert_is_found(name: str) -> None:
    assert alerts.find(alert(name)) == [BACKEND]


@pytest.mark.parametrize(("text", "found"), [
    ("nothing of that kind", []),
    ("k8s.pod=<NA> k8s.ns=<NA>", []),
    ("k8s.pod=&lt;NA&gt; k8s.ns=&lt;NA&gt;", []),
    ("the pod is in the namespace", []),
    ('{"output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "web-0"}}', [Candidate("web-0", "shop")]),
    ("Pod: shop/web-0", [Candidate("web-0", "shop")]),
    ("pod: web-0", [Candidate("web-0", "")]),
    ("pod=web-0 namespace=shop pod=web-1", [Candidate("web-0", "shop"), Candidate("web-1", "shop")]),
    ("pod: WEB-0", []),
    ("pod: web-0/../../x", []),
    ("podinfo: web-0", []),
    ("pod/web-0 is evicted, namespace: shop", [Candidate("web-0", "shop")]),
    ("shop/pod/web-0 was updated", [Candidate("web-0", "shop")]),
    ("create pods/exec by eve", []),
    ("https://example.com/shop/pod/web-0", []),
    ("pod\nweb-0\nnamespace\nshop", []),
])  # fmt: skip
def test_what_a_text_names(text: str, found: list[Candidate]) -> None:
    assert alerts.find({"text": text}) == found


@given(st.dictionaries(st.sampled_from(["text", "attachments", "blocks"]), st.recursive(
    st.none() | st.text(max_size=40) | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["text", "fields", "title", "value", "fallback"]), inner, max_size=4), max_leaves=12)))  # fmt: skip
def test_any_message_is_looked_through(message: dict[str, Any]) -> None:
    for pod, namespace in alerts.find(message):
        assert pod == pod.lower()
        assert "/" not in pod + namespace


def test_a_long_message_is_looked_through_in_no_time() -> None:
    for text in ("pod:" * 10_000, "pod=" + "a-" * 20_000, " " * 40_000 + "|", "pods " * 8_000, "namespace " * 4_000, "•" * 40_000):
        began = time.monotonic()
        alerts.find({"text": text})
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("text", [
    "Crashing pod web-0 in namespace shop", "Pod web-0 in the namespace shop.", "OOM of pod *web-0* on node `n1` in namespace *shop*",
    "Pod web-0 (namespace: shop) was evicted", "Pod web-0 (namespace shop)",
])  # fmt: skip
def test_a_sentence_that_names_pod_and_namespace(text: str) -> None:
    assert alerts.find({"text": text}) == [Candidate("web-0", "shop")]
