"""What the reference says because the program does: written by `python -m tests.docs.generated`, compared by the tests."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from irkit.cli.commands import COMMANDS
from irkit.network import cni
from irkit.settings import Settings
from tests.docs import pages

PROGRAM = Path(sys.executable).with_name("irkit")
REHEARSAL = ("rehearse", "--seed", "7", "--phase", "containment", "--keep-workload", "-o", "json")


def irkit(*words: str, code: int = 0) -> str:
    """What irkit prints on stdout, 80 columns wide, with an empty home and no cluster."""
    with tempfile.TemporaryDirectory() as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home, "COLUMNS": "80", "LC_ALL": "C.UTF-8", "IRKIT_HOME": f"{home}/irkit"}
        done = subprocess.run([str(PROGRAM), *words], capture_output=True, text=True, env=environ, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == code, f"irkit {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout.replace(home, "/home/oncall")


def overview() -> str:
    return f"```\n{irkit('--help')}```\n"


def commands() -> str:
    return "\n".join(_command(words) for words in sorted_commands())


def sorted_commands() -> Iterator[tuple[str, ...]]:
    """Every command and sub-command, in the order of the overview."""
    for name in COMMANDS:
        yield (name,)
        for sub in _subcommands(irkit(name, "--help")):
            yield name, sub


def _subcommands(text: str) -> list[str]:
    _, _, listed = text.partition("\nCommands:\n")
    return re.findall(r"^  (\S+)", listed, re.MULTILINE)


def _command(words: tuple[str, ...]) -> str:
    return f"{'#' * (len(words) + 1)} irkit {' '.join(words)}\n\n```\n{irkit(*words, '--help')}```\n"


def setting_rows() -> str:
    """A table for the settings, and one for each section of them, by the docstrings of the fields."""
    sections = [_rows(Settings, "setting")]
    for name, section in _sections(Settings, ""):
        sections.append(f"In `{name}`:\n\n{_rows(section, 'field')}")
    return "\n".join(sections)


def _rows(section: type[msgspec.Struct], head: str) -> str:
    hints, texts = get_type_hints(section), docstrings(Path(inspect.getfile(section)), section.__name__)
    rows = [f"| {head} | type | default | |", "|---|---|---|---|"]
    rows += [f"| `{field.encode_name}` | {_type(hints[field.name])} | {_default(field)} | {texts.get(field.name, '')} |"
             for field in msgspec.structs.fields(section)]  # fmt: skip
    return "\n".join(rows) + "\n"


def _sections(section: type[msgspec.Struct], before: str) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """The structs below one, each with its place: ``notify.webhooks.NAME``, ``rotation.classes[]``."""
    hints = get_type_hints(section)
    for field in msgspec.structs.fields(section):
        kind, place = hints[field.name], f"{before}{field.encode_name}"
        inner = [k for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, msgspec.Struct)]
        if inner:
            place += {dict: ".NAME", tuple: "[]"}.get(get_origin(kind), "")
            yield place, inner[0]
            yield from _sections(inner[0], f"{place}.")


def docstrings(path: Path, name: str) -> dict[str, str]:
    """The strings below the fields of a class."""
    (found,) = (n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef) and n.name == name)
    texts = {}
    for field, text in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            texts[field.target.id] = str(text.value.value).replace("``", "`")
    return texts


def _type(hint: Any) -> str:
    named = {Path: "path", str: "text", float: "number", int: "whole number", bool: "yes or no"}
    if hint in named:
        return named[hint]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return "section"
    if get_origin(hint) is Literal:
        return " or ".join(f"`{word}`" if word else "nothing" for word in get_args(hint))
    inner = [kind for kind in get_args(hint) if kind not in (type(None), Ellipsis)]
    if type(None) in get_args(hint):
        return _type(inner[0])
    if get_origin(hint) is dict:
        return f"{_type(inner[1])} by name" if inner[1] is not str else "text by name"
    return f"list of {_type(inner[0])}{'s' if _type(inner[0]) == 'section' else ''}"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default if field.default is not msgspec.NODEFAULT else None
    if field.name == "home" or default in ("", None, ()) or isinstance(default, msgspec.Struct):
        return ""
    return f"`{', '.join(map(str, default)) if isinstance(default, tuple) else default}`"


def plugin_rows() -> str:
    rows = ["| DaemonSet | in namespace | plugin | policies | open connections | note |", "|---|---|---|---|---|---|"]
    for plugin in cni.PLUGINS:
        it, looked = plugin.cni, " *" if plugin.look.__name__ != "<lambda>" else ""
        rows.append(f"| `{plugin.daemonset}` | {', '.join(plugin.namespaces)} | {it.name}{looked} | {it.enforces} | {it.connections} | {it.note} |")
    return "\n".join(rows) + "\n"


def role() -> str:
    return f"```yaml\n{irkit('playbook', 'rbac', 'compromised-pod', '-n', 'todo-app', '--phase', 'containment')}```\n"


def example() -> str:
    return f"```json\n{irkit(*REHEARSAL, code=5)}```\n"


def credential() -> str:
    """One of those that a rehearsal rotates."""
    found = json.loads(irkit("rehearse", "-o", "json"))["credentials"]
    return f"```json\n{json.dumps(next(c for c in found if c['class'] == 'generated'), indent=2)}\n```\n"


def document(block: str) -> dict[str, Any]:
    """The JSON in a fenced block."""
    found: dict[str, Any] = json.loads(block.strip().removeprefix("```json\n").removesuffix("```"))
    return found


BLOCKS: dict[str, tuple[Path, Callable[[], str]]] = {
    "help": (pages.README, overview),
    "commands": (pages.REFERENCE / "commands.md", commands),
    "settings": (pages.REFERENCE / "settings.md", setting_rows),
    "plugins": (pages.REFERENCE / "cni.md", plugin_rows),
    "role": (pages.REFERENCE / "rbac.md", role),
    "credential": (pages.REFERENCE / "result.md", credential),
    "example": (pages.REFERENCE / "result.md", example),
}


def main() -> None:
    """Write them all, or those named."""
    for name in sys.argv[1:] or BLOCKS:
        page, make = BLOCKS[name]
        pages.write(page, name, make())


if __name__ == "__main__":
    main()
