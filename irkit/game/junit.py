"""What tests came to, as JUnit XML: the shape that Jenkins, GitLab and GitHub read (junit-10.xsd)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from xml.etree import ElementTree as ET

import msgspec

from irkit.text import printable

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2: Char


class Case(msgspec.Struct, frozen=True):
    """One test. ``outcome`` other than passed: ``message`` says why in a line, ``text`` at length. ``seconds``: how long it took."""

    name: str
    seconds: float
    outcome: Literal["passed", "failure", "error", "skipped"] = "passed"
    message: str = ""
    text: str = ""


class Suite(msgspec.Struct, frozen=True):
    name: str
    cases: Sequence[Case]


def document(name: str, suites: Sequence[Suite], began: datetime) -> bytes:
    """The whole file. Whatever text it is given, it is well-formed and holds no control characters."""
    root = ET.Element("testsuites", {"name": _line(name), **_counts([c for s in suites for c in s.cases])})
    for suite in suites:
        skipped, at = sum(c.outcome == "skipped" for c in suite.cases), began.strftime("%Y-%m-%dT%H:%M:%S")
        node = ET.SubElement(root, "testsuite", {"name": _line(suite.name), "timestamp": at, **_counts(suite.cases), "skipped": str(skipped)})
        for case in suite.cases:
            _case(ET.SubElement(node, "testcase", name=_line(case.name), classname=_line(f"{name}.{suite.name}"), time=_time(case.seconds)), case)
    ET.indent(root)
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _case(node: ET.Element, case: Case) -> None:
    if case.outcome == "passed":
        return
    what = ET.SubElement(node, case.outcome, message=_line(case.message))
    if case.outcome != "skipped":
        what.set("type", case.outcome)
        what.text = "\n".join(_line(line) for line in case.text.split("\n"))


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    return {"tests": str(len(cases)), "failures": str(sum(c.outcome == "failure" for c in cases)),
            "errors": str(sum(c.outcome == "error" for c in cases)), "time": _time(sum(c.seconds for c in cases))}  # fmt: skip


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _line(text: str) -> str:
    return _NO_XML.sub("?", printable(text, 2000))
