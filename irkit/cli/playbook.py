"""``irkit playbook``: what there is, what it says, whether it is right."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from irkit import API_VERSION

if TYPE_CHECKING:
    from irkit.engine.library import Entry
    from irkit.settings import Settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False, help="List, show and check playbooks.")

_Name = Annotated[str, typer.Argument(help="A playbook's name, or a path.", metavar="PLAYBOOK", show_default=False)]
_Folder = Annotated[str | None, typer.Option("--playbooks", help="A directory whose playbooks come before the built-in ones.", metavar="DIR")]
_Output = Annotated[str, typer.Option("--output", "-o", help="text or json.", metavar="FORMAT")]


@app.command("list")
def list_(playbooks: _Folder = None, output: _Output = "text") -> None:
    """Print every playbook that can be called by name."""
    from irkit.engine import library

    entries = list(library.list_all(_settings(playbooks)))
    if _wants_json(output):
        _json({"apiVersion": API_VERSION, "kind": "PlaybookList", "items": [_item(entry) for entry in entries]})
        return
    width = max((len(_safe(entry.name)) for entry in entries), default=0)
    for entry in entries:
        print(f"{_safe(entry.name):<{width}}  {_summary(entry)}")
    if broken := [entry.name for entry in entries if entry.playbook is None]:
        print(f"next: irkit playbook validate {_safe(broken[0])}", file=sys.stderr)


@app.command()
def show(
    name: _Name,
    runbook: Annotated[bool, typer.Option("--runbook", help="Print its runbook instead: the same by hand, with kubectl.")] = False,
    playbooks: _Folder = None,
    output: _Output = "text",
) -> None:
    """Print a playbook as it is written, or its runbook."""
    from irkit.engine import library, positions

    playbook = library.find(name, _settings(playbooks))
    if runbook:
        path = library.runbook(playbook)
        print(f"# {_safe(path)}", file=sys.stderr)
        _lines(path.read_bytes())
    elif _wants_json(output):
        _json(positions.plain(positions.compose(playbook.source, positions.Mistakes(playbook.path))))
    else:
        print(f"# {_safe(playbook.path)}  sha256:{playbook.digest}", file=sys.stderr)
        _lines(playbook.source)


@app.command()
def validate(
    names: Annotated[list[str], typer.Argument(help="Names or paths.", metavar="PLAYBOOK...", show_default=False)], playbooks: _Folder = None
) -> None:
    """Check playbooks: all mistakes of all of them, each with its place."""
    from irkit.engine import library
    from irkit.errors import Mistake, PlaybookError
    from irkit.text import plural

    settings = _settings(playbooks)
    mistakes: list[Mistake] = []
    for path in [library.locate(name, settings) for name in names]:
        try:
            playbook = library.load(path)
        except PlaybookError as error:
            mistakes += error.mistakes
        else:
            print(f"{_safe(path)}: {playbook.name}, {plural(len(playbook.steps), 'step')}, no mistakes")
    if mistakes:
        raise PlaybookError(mistakes)


@app.command()
def schema() -> None:
    """Print the JSON Schema of playbooks, from which editors complete."""
    from irkit.engine.schema import playbook_schema

    _json(playbook_schema())


def _settings(playbooks: str | None) -> Settings:
    import os

    from irkit import settings

    return settings.load(os.environ, playbooks=playbooks)


def _wants_json(output: str) -> bool:
    from irkit.errors import UsageError

    if output not in ("text", "json"):
        raise UsageError(f"no output format '{_safe(output)}'; known are text, json")
    return output == "json"


def _item(entry: Entry) -> dict[str, object]:
    about: dict[str, object] = {"name": entry.name, "path": str(entry.path.absolute()), "builtin": entry.builtin}
    if (playbook := entry.playbook) is None:
        return {**about, "mistake": entry.mistake}
    steps = [{"id": step.id, "step": step.step, "phase": step.phase} for step in playbook.steps]
    return {**about, "title": playbook.title, "severity": playbook.severity, "runbook": playbook.runbook, "sha256": playbook.digest, "steps": steps}


def _summary(entry: Entry) -> str:
    if entry.playbook is None:
        return f"has mistakes: {entry.mistake.splitlines()[0]}"
    where = "" if entry.builtin else f"  {_safe(entry.path)}"
    return f"{entry.playbook.severity:<8}  {_safe(entry.playbook.title)} ({', '.join(entry.playbook.phases)}){where}"


def _safe(value: object) -> str:
    from irkit.text import printable

    return printable(value, 4096)


def _lines(source: bytes) -> None:
    for line in source.decode(errors="backslashreplace").splitlines():
        print(_safe(line.expandtabs()))


def _json(document: object) -> None:
    import json

    print(json.dumps(document, indent=2))


@app.command()
def rbac(
    name: _Name,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="The namespace that it will be run in.")] = "default",
    phase: Annotated[str, typer.Option("--phase", help="Only this phase; several joined by commas.")] = "",
    playbooks: _Folder = None,
    output: Annotated[str, typer.Option("--output", "-o", help="yaml or json.", metavar="FORMAT")] = "yaml",
) -> None:
    """Print the least Role, and ClusterRole, with which a user can run a playbook in a namespace."""
    from irkit.engine import library, rights

    playbook = library.find(name, _settings(playbooks))
    found = rights.manifests(rights.least(playbook, phase, namespace), playbook.name, namespace)
    if _wants_json(output if output != "yaml" else "text"):
        _json({"apiVersion": "v1", "kind": "List", "items": found})
        return
    import yaml

    print(yaml.safe_dump_all(found, sort_keys=False, default_flow_style=None, explicit_start=True, width=150).rstrip())
