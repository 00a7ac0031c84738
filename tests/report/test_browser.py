"""The report in a real Chromium: complains of nothing, asks for nothing, fits a telephone, and runs nothing."""

from __future__ import annotations

import pytest

from irkit.evidence import report as rendering
from tests.components import devtools
from tests.report.samples import hostile, ordinary

WIDTHS = (360, 800, 1200)


@pytest.mark.parametrize("made", [ordinary, hostile])
def test_it_opens_offline_without_a_word_at_every_width(browser, tmp_path, made):
    file = tmp_path / "report.html"
    file.write_text(rendering.html(made()))
    with devtools.page(browser.program) as page:
        for width, scheme in zip(WIDTHS, ("light", "dark", "light"), strict=True):
            page.open(file.as_uri(), width=width, scheme=scheme)
            asked = [p["request"]["url"] for method, p in page.events if method == "Network.requestWillBeSent"]
            assert asked == [file.as_uri()]
            said = [p for method, p in page.events if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")]
            assert said == []
            assert not [m for m, _ in page.events if m == "Page.javascriptDialogOpening"]
            assert page.value("document.documentElement.scrollWidth") <= width
            assert page.value("document.scripts.length + document.images.length + document.links.length") == 0
            shown = "[...document.querySelectorAll('svg')].filter(s => s.getClientRects().length).map(s => s.getAttribute('class')).join()"
            assert page.value(shown) == ("narrow,narrow" if width < 736 else "wide,wide")
        colours = "getComputedStyle(document.body).backgroundColor"
        light = page.value(colours)
        page.open(file.as_uri(), width=1200, scheme="dark")
        assert page.value(colours) != light  # the style sheet is in force, and knows the dark


def test_the_drawings_stay_within_their_boxes(browser, tmp_path):
    """By the fonts that this machine has: no text of the blast radius is wider than what is around it."""
    file = tmp_path / "report.html"
    file.write_text(rendering.html(ordinary()))
    wider = """[...document.querySelectorAll('section:nth-of-type(5) svg')].filter(s => s.getClientRects().length).flatMap(s => {
      const boxes = [...s.querySelectorAll('rect')].map(b => b.getBBox());
      return [...s.querySelectorAll('text')].filter(t => { const l = t.getBBox();
        const b = boxes.find(b => l.x >= b.x && l.x < b.x + b.width && l.y >= b.y - 4 && l.y < b.y + b.height);
        return b ? l.x + l.width > b.x + b.width : l.x + l.width > s.viewBox.baseVal.width }).map(t => t.textContent) }).join('\\n')"""
    with devtools.page(browser.program) as page:
        for width in (360, 1200):
            page.open(file.as_uri(), width=width)
            assert page.value(wider) == ""
