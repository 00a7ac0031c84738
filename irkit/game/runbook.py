"""Runbooks as data: what a person reads and pastes, heading by heading; and where a page says to do a part of another one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from irkit.model.kube import Value

BLOCK = re.compile(r"^```sh ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"^export (?:NS=\S+(?: (?:POD|SECRET|ACCOUNT|WORKLOAD)=\S+)?|NODE=\S+)$", re.MULTILINE)
"""The one line of a page that is to be edited."""
_HEADING = re.compile(r"^(##+) (.+)$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=[A-Z_]+=)[^\n]*$", re.MULTILINE)
_WORD = re.compile(r"\b([A-Z_]+)=(\"[^\"$`]+\"|[^\s\"'$`]+)")
_DO = re.compile(r"(?:\n[ ]*\n|\b[Dd]o\s|\bby\s|(?<!\*):\s|\b[Dd]o, on the page [^\n]*,\s)\[[^\]]+\]\(([a-z0-9-]+\.md)?#([a-z0-9-]+)\)")
"""A link that says what to do: at the beginning of a paragraph, or after a word for it. Others only tell where to read."""
_LATER = re.compile(r"\]\([^)]*#[^)]*\)[^.]*, from its second block on")
ASIDE = ("Undo", "The pod is gone")
"""Headings of what is not part of the way."""


class Block(Value, frozen=True):
    """Something to paste. ``tags``: the words after ``sh``; without one, everybody does it. ``before``: what is said right before it."""

    page: str
    script: str
    tags: tuple[str, ...] = ()
    before: str = ""


class Section(Value, frozen=True):
    """One heading with all that is below it."""

    page: str
    title: str
    text: str


class Part(Value, frozen=True):
    """A section in the order of the page, and what of other sections it says to do first and last; each ``page#anchor`` in ``does``."""

    section: Section
    does: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return anchor(self.section.title)


def headings(text: str) -> list[str]:
    """The headings of second level, in order."""
    return [title for marks, title in _HEADING.findall(text) if marks == "##"]


def blocks(text: str, tag: str = "", page: str = "") -> list[str]:
    """The shell blocks that carry ``tag``; without it, those that everybody runs."""
    return [b.script for b in found(text, page) if (tag in b.tags if tag else not b.tags)]


def found(text: str, page: str) -> Iterator[Block]:
    """All shell blocks in order."""
    end = 0
    for match in BLOCK.finditer(text):
        before = text[end : match.start()].strip().rpartition("\n\n")[2]
        yield Block(page=page, script=match[2], tags=tuple(match[1].split()), before=_HEADING.sub("", before).strip())
        end = match.end()


def anchor(title: str) -> str:
    """As GitHub names a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def section(text: str, page: str, name: str) -> Section | None:
    """The section of that anchor, of whatever level, with the smaller ones in it."""
    marks = list(_HEADING.finditer(text))
    for n, match in enumerate(marks):
        if anchor(match[2]) == name:
            end = next((m.start() for m in marks[n + 1 :] if len(m[1]) <= len(match[1])), len(text))
            return Section(page=page, title=match[2], text=text[match.end() : end])
    return None


def parts(text: str, page: str) -> Iterator[Part]:
    """What a page has people do, in order."""
    for title in headings(text):
        if title in ASIDE:
            continue
        here = section(text, page, anchor(title))
        assert here is not None, "it has that heading"
        yield Part(section=here, does=tuple(links(here)))


def links(here: Section) -> Iterator[str]:
    """The sections that this one says to do, ``page.md#anchor``; alternatives in a list are none."""
    prose = "\n".join(line for line in BLOCK.sub("", here.text).split("\n") if not line.lstrip().startswith("- "))
    for other, name in dict.fromkeys(_DO.findall(prose)):
        yield f"{other or here.page}#{name}"


def todo(part: Part, read: Callable[[str], str]) -> Iterator[Block]:
    """Every block of a part, those of the sections that it says to do after its own. ``read``: the text of a page by its name, empty where
    there is none."""  # fmt: skip
    seen: set[str] = {f"{part.section.page}#{part.id}"}

    def walk(here: Section) -> Iterator[Block]:
        yield from found(here.text, here.page)
        for link in links(here):
            page, _, name = link.partition("#")
            if link not in seen and (there := section(read(page), page, name)) is not None:
                seen.add(link)
                yield from islice(walk(there), 1 if _LATER.search(here.text) else 0, None)

    yield from walk(part.section)


def edited(script: str, names: Mapping[str, str]) -> str:
    """The block with what a person puts for the names that it has them edit: ``export NS=shop POD=web-1``."""

    def words(line: str) -> str:
        return _WORD.sub(lambda m: f"{m[1]}={shlex.quote(names[m[1]])}" if m[1] in names else m[0], line)

    return _EXPORT.sub(lambda line: words(line[0]), script)


def asks(script: str) -> dict[str, str]:
    """The names that a block has people edit, with the examples that stand there."""
    return {name: value.strip('"') for line in _EXPORT.findall(script) for name, value in _WORD.findall(line)}
