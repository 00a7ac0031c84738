"""The draft of a post-mortem: values in, one self-contained HTML file or Markdown out.

Names, labels, events and logs in it are the attacker's to choose. In HTML and SVG everything is escaped by the template
engine, and a Content-Security-Policy allows nothing but the page's own style sheet, by its hash; in Markdown everything that
could be markup is escaped. Control and format characters are shown, not acted upon.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.evidence.report import drawing, times
from irkit.evidence.report.values import Report
from irkit.text import plural, printable

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).with_name("templates")
_LONGEST = 1000  # characters of one text
_BRIEF = 20  # characters of what has one word, such as a class
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#!&$])")  # wherever it stands (CommonMark 2.4, GFM)
_OPENING = re.compile(r"^([-+=:.)]|\d+(?=[.)]))")  # at the start of a line
_LINK = re.compile(r"(?i)(https?|ftp)(?=:)|\bwww(?=\.)|(?<=\w)@(?=\w)")  # what GFM makes a link of by itself


def html(report: Report, skew: float = 0.0) -> str:
    """One file without scripts, fonts, images or links. ``skew``: seconds that the cluster's clock is ahead."""
    style = (_TEMPLATES / "style.css").read_text("utf-8")
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = _environment(autoescape=True)
    environment.finalize = lambda value: value if hasattr(value, "__html__") else printable("" if value is None else value, _LONGEST)
    environment.filters["brief"] = lambda text: text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"
    from markupsafe import Markup

    strips = drawing.timeline(report.milestones, report.entries, skew), drawing.timeline_narrow(report.milestones)
    graphs = drawing.radius(report.target, report.reached), drawing.radius_narrow(report.target, report.reached)
    return environment.get_template("report.html.j2").render(
        report=report, style=Markup(style), allowed=allowed, strips=strips, graphs=graphs, times=times, plural=plural  # noqa: S704 -- our own file
    )  # fmt: skip


def markdown(report: Report) -> str:
    """CommonMark with GFM tables and tasks, to be edited."""
    environment = _environment(autoescape=False)
    environment.finalize = lambda value: escaped("" if value is None else value)
    return environment.get_template("report.md.j2").render(report=report, times=times, plural=plural)


def escaped(value: object) -> str:
    """Text that Markdown shows as it is, on one line: no markup, no link, no heading, no cell of a table."""
    text = _MARKUP.sub(r"\\\1", printable(value, _LONGEST).strip())
    text = _OPENING.sub(lambda found: "\\" + found[1] if not found[1].isdigit() else f"{found[1]}\\", text)
    return _LINK.sub(lambda found: found[0] + "\\" if found[0] != "@" else "\\@", text)


def _environment(*, autoescape: bool) -> jinja2.Environment:
    import jinja2

    options: dict[str, Any] = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    return jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=autoescape, **options)  # noqa: S701 -- Markdown is escaped by `escaped`
