"""What README and the other pages tell people to type exists, links lead somewhere, and no page knows the machine it was written on."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from irkit import errors, settings
from irkit.cli.main import app
from tests.docs import pages

FENCE = re.compile(r"^```\w*[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
SHOWN = re.compile(r"<!-- (help|transcript|chain|commands|example) -->.*?<!-- /\1 -->", re.DOTALL)  # printed by a program, and tested as such
MACHINE = re.compile(r"(?<![\w.~$}])/(?:root|work|tmp|Users|var/folders|home/(?!oncall\b))\b")

each_page = pytest.mark.parametrize("page", pages.pages(), ids=lambda page: str(page.relative_to(pages.ROOT)))


def typed(page: Path) -> Iterator[str]:
    """Every line of a page that somebody is told to type, one command each."""
    text = SHOWN.sub("", page.read_text())
    blocks = [line for body in FENCE.findall(text) for line in body.splitlines()]
    for line in [*blocks, *INLINE.findall(FENCE.sub("", text))]:
        for part in re.split(r"\s[|&]{1,2}\s|\s{3,}|\s#\s", line):
            yield part.strip().removeprefix("$ ").removeprefix(".venv/bin/")


def irkit_lines(page: Path) -> list[str]:
    return [line for line in typed(page) if re.match(r"irkit (?!COMMAND)\S", line)]


def variants(line: str) -> Iterator[list[str]]:
    """``irkit playbook list|show`` are two; what is optional is given."""
    words = shlex.split(re.sub(r"\[(-[^]]*)\]", r"\1", line).replace("…", "x"))[1:]
    at = next((n for n, word in enumerate(words) if "|" in word and not word.startswith("[")), None)
    if at is None:
        yield words
        return
    for word in words[at].split("|"):
        yield [*words[:at], word, *words[at + 1 :]]


def parse(words: list[str]) -> None:
    """As the program would, without running anything. Raises what the parser says."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("irkit", list(words))
    while (rest := [*context._protected_args, *context.args]) and hasattr(context.command, "resolve_command"):
        name, command, rest = context.command.resolve_command(context, rest)
        if not rest and hasattr(command, "resolve_command"):
            return  # `irkit playbook`: a group, named
        context = command.make_context(name, rest, parent=context)


def test_the_parser_of_this_test_refuses_what_irkit_refuses():
    for words in (["quarantin", "x"], ["contain", "x", "--no-such"], ["playbook", "lst"], ["lift", "--pod", "eat"]):
        with pytest.raises(Exception, match=r"no command|No such|not one of|Invalid"):
            parse(words)


@each_page
def test_every_command_line_parses(page: Path):
    for line in irkit_lines(page):
        for words in variants(line):
            try:
                parse(words)
            except Exception as error:
                if type(error).__name__ not in ("MissingParameter", "Exit"):  # only named; --help
                    raise AssertionError(f"{page.name}: {line}: {error}") from error


def test_there_are_command_lines_to_check():
    assert len([line for page in pages.pages() for line in irkit_lines(page)]) > 30


@each_page
def test_every_make_target_exists(page: Path):
    makefile = (pages.ROOT / "Makefile").read_text()
    for line in typed(page):
        if found := re.match(r"make ([a-z0-9-]+)", line):
            assert re.search(rf"^{found[1]}:", makefile, re.MULTILINE), f"make {found[1]}"


@each_page
def test_every_link_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)}
            assert anchor in slugs, f"{page.name}: {target}"


@each_page
def test_no_page_names_a_path_of_a_machine(page: Path):
    assert MACHINE.findall(page.read_text()) == []


@pytest.mark.parametrize("page", [pages.README, pages.REFERENCE / "exit-codes.md"], ids=lambda page: page.name)
def test_every_exit_code_is_in_the_table(page: Path):
    codes = {0, *(kind.exit_code for kind in _tree(errors.IrkitError))}
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page.read_text(), re.MULTILINE)] == sorted(codes)


def _tree(kind: type[errors.IrkitError]) -> Iterator[type[errors.IrkitError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below)


def test_the_precedence_is_as_documented():
    text = (pages.REFERENCE / "exit-codes.md").read_text()
    found = re.search(r"the first of these counts: ([\d, ]+)\.", text)
    assert found
    assert tuple(int(code) for code in found[1].split(", ")) == errors.PRECEDENCE


@pytest.mark.parametrize("page", [pages.README, pages.REFERENCE / "settings.md"], ids=lambda page: page.name)
def test_the_example_of_the_settings_is_one(page: Path, tmp_path: Path):
    (example,) = (body for body in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL) if "contacts:" in body)
    (tmp_path / "config.yaml").write_text(example)
    loaded = settings.load({"IRKIT_CONFIG": str(tmp_path / "config.yaml"), "HOME": str(tmp_path)})
    assert [contact.name for contact in loaded.contacts] == ["security", "incident commander"]


def test_readme_names_every_playbook_and_every_extra():
    text = pages.README.read_text()
    extras = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name in (path.stem for path in (pages.ROOT / "playbooks").glob("*.yaml")) if f"`{name}`" not in text] == []
    assert [name for name in extras if f"[{name}]" not in text] == []
