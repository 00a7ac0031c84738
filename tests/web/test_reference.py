"""What the pages say of webhooks and rules is what irkit does."""

from __future__ import annotations

import re
from pathlib import Path

from irkit.listeners.web.formats import FORMATS
from irkit.listeners.web.metrics import RESULTS, Metrics
from irkit.listeners.web.rules import grammar, loader
from irkit.settings import load
from tests.docs import pages
from tests.web import reference
from tests.web.test_metrics import parsed

EXAMPLES = pages.ROOT / "docs" / "examples"
SERVE = (pages.REFERENCE / "serve.md").read_text()


def test_the_tables_of_rules_are_those_of_the_code() -> None:
    for name, table in reference.tables().items():
        assert pages.block(reference.PAGE, name) == table + "\n", "python -m tests.web.reference"


def test_the_examples_can_be_read() -> None:
    settings = load({"IRKIT_CONFIG": str(EXAMPLES / "serve.yaml"), "HOME": "/"}).serve
    found = loader.loads((EXAMPLES / "rules.yaml").read_bytes(), "rules.yaml", load({"IRKIT_CONFIG": str(EXAMPLES / "serve.yaml"), "HOME": "/"}))
    assert {source.format for source in settings.sources.values()} == {*FORMATS, "json"}
    assert [rule.name for rule in found if rule.dry_run] == ["leaked-key-in-image"]


def test_the_rule_on_the_page_can_be_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(apiVersion: irkit.*?)```", reference.PAGE.read_text(), re.DOTALL)
    (rule,) = loader.loads(text.encode(), "rules.md", load({"IRKIT_CONFIG": str(EXAMPLES / "serve.yaml"), "HOME": "/"}))
    assert (rule.limits.per_hour, rule.cool_down) == (3, 7200.0)


def test_every_name_that_may_be_filled_in_is_on_the_page() -> None:
    assert all(f"`${{{name}}}`" in reference.PAGE.read_text() for name in grammar.NAMES)


def test_every_figure_and_every_result_is_on_the_page() -> None:
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in parsed(Metrics((), ("a",)).text((), leads=True))}
    assert names <= set(re.findall(r"`(irkit_\w+)`", SERVE))
    assert all(f"`{result}`" in SERVE for result in RESULTS)


def test_every_format_is_on_the_page() -> None:
    assert {*FORMATS, "json"} <= set(re.findall(r"^\| `([a-z-]+)` \|", SERVE, re.MULTILINE))
