"""What the reference says because the program does: written by `python -m tests.docs.generated`, compared by the tests."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from irkit import settings
from irkit.cli.commands import COMMANDS
from irkit.network import cni
from irkit.settings import Settings
from tests.docs import pages

PROGRAM = Path(sys.executable).with_name("irkit")
REHEARSAL = ("rehearse", "--seed", "7", "--keep-workload", "-o", "json")


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
    """A row for each field, by its docstring."""
    hints, rows = get_type_hints(Settings), ["| setting | type | default | |", "|---|---|---|---|"]
    texts = docstrings(Path(settings.__file__), "Settings")
    rows += [
        f"| `{field.encode_name}` | {_type(hints[field.name])} | {_default(field)} | {texts[field.name]} |"
        for field in msgspec.structs.fields(Settings)
    ]
    return "\n".join(rows) + "\n"


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
    inner = [kind for kind in get_args(hint) if kind not in (type(None), Ellipsis)]
    if type(None) in get_args(hint):
        return _type(inner[0])
    return "list of contacts" if inner[0] is settings.Contact else f"list of {_type(inner[0])}"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.name == "home" or field.default in ("", None, ()):
        return ""
    return f"`{', '.join(field.default) if isinstance(field.default, tuple) else field.default}`"


def plugin_rows() -> str:
    rows = ["| DaemonSet | in namespace | plugin | policies | open connections | note |", "|---|---|---|---|---|---|"]
    for plugin in cni.PLUGINS:
        it, looked = plugin.cni, " *" if plugin.look.__name__ != "<lambda>" else ""
        rows.append(f"| `{plugin.daemonset}` | {', '.join(plugin.namespaces)} | {it.name}{looked} | {it.enforces} | {it.connections} | {it.note} |")
    return "\n".join(rows) + "\n"


def role() -> str:
    return f"```yaml\n{irkit('playbook', 'rbac', 'compromised-pod', '-n', 'todo-app')}```\n"


def example() -> str:
    return f"```json\n{irkit(*REHEARSAL, code=5)}```\n"


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
    "example": (pages.REFERENCE / "result.md", example),
}


def main() -> None:
    """Write them all, or those named."""
    for name in sys.argv[1:] or BLOCKS:
        page, make = BLOCKS[name]
        pages.write(page, name, make())


if __name__ == "__main__":
    main()
