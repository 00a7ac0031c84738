"""The report's two forms: nothing that a stranger wrote is markup, nothing is fetched, nothing is lost."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from irkit.evidence import report as rendering
from irkit.evidence.report import drawing, times
from tests.report.samples import EVIL, STARTS, hostile, ordinary

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "p", "h1", "h2", "h3", "dl", "dt", "dd", "div", "span",
    "ul", "li", "figure", "figcaption", "svg", "path", "rect", "circle", "text", "table", "thead", "tbody", "tr", "th", "td", "code", "br",
}  # fmt: skip
ATTRIBUTES = {"class", "lang", "charset", "http-equiv", "content", "name", "viewbox", "role", "aria-label", "d", "x", "y", "width", "height", "rx",
              "cx", "cy", "r", "colspan", "data-name"}  # fmt: skip


class Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.texts = set[str](), set[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("text", [EVIL, *STARTS])
def test_html_has_only_its_own_tags_and_attributes(text):
    seen = Seen(rendering.html(hostile(text)))
    assert seen.tags <= TAGS
    assert seen.attributes <= ATTRIBUTES
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e\u2028]", "".join(seen.texts))


def test_the_page_allows_nothing_but_its_own_style():
    page = rendering.html(ordinary())
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'" in page
    assert not re.search(r"url\(|@import|https?:", style[1])


@pytest.mark.parametrize("text", [EVIL, *STARTS])
def test_markdown_shows_what_strangers_wrote_and_nothing_more(text):
    kinds = {"heading_open", "table_open", "bullet_list_open", "paragraph_open", "inline", "text", "code_inline", "softbreak"}
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    usual, evil = (rendering.markdown(r) for r in (ordinary(), hostile(text)))

    def shape(page):
        return [(t.type, t.tag) for t in parser.parse(page)]

    assert shape(evil) == shape(usual)
    inner = {c.type for t in parser.parse(evil) for c in t.children or ()}
    assert inner <= kinds
    assert not re.search(r"(?i)(https?|ftp):|www\.", re.sub(r"`[^`]*`", "", evil))  # what GFM makes a link of


def test_every_word_of_a_report_is_in_both_forms():
    report = ordinary()
    text = "".join(Seen(rendering.html(report)).texts)
    written = rendering.markdown(report)
    for word in ("step tell-people was not run", "It was cut off.", "412 d", "Pin it by digest", "ab" * 32, "3 of 3", "How?", "logs"):
        assert word in text
        assert rendering.escaped(word) in written


def test_labels_fit_their_boxes_and_say_what_was_cut():
    for made in (drawing.radius(ordinary().target, ordinary().reached), drawing.radius_narrow(ordinary().target, ordinary().reached)):
        assert "and 25 more" in [label.text for label in made.labels]
        assert all(0 <= label.x < made.width and 0 < label.y < made.height for label in made.labels)
        cut = [label for label in made.labels if label.text.endswith("…")]
        assert cut
        assert all(label.whole.startswith(label.text[:-1]) for label in cut)


@pytest.mark.parametrize(("first", "second", "says"), [
    ("2026-11-22T03:15:02Z", "2026-11-22T03:15:02.840Z", "840 ms"), ("2026-11-22T03:15:02Z", "2026-11-22T04:15:14.4+01:00", "12.4 s"),
    ("2026-11-22T03:15:02Z", "2026-11-22T05:20:00Z", "2 h 5 min"), ("2026-11-22T03:15:02Z", "2026-11-26T06:20:00Z", "4 d 3 h"),
    ("2026-11-22T03:15:02Z", "2026-11-22T03:15:01Z", ""), (EVIL, "2026-11-22T03:15:02Z", ""),
])  # fmt: skip
def test_the_time_between(first, second, says):
    assert times.between(first, second) == says
