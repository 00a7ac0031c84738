"""Where playbooks come from: a directory of the user's, over the built-in ones.

The built-in ones live in ``playbooks/`` and ``runbooks/`` at the top of the repository; a wheel carries them inside the
package as ``_playbooks`` and ``_runbooks``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from irkit.engine import loader
from irkit.errors import PlaybookError, UsageError
from irkit.model.playbook import Playbook
from irkit.settings import Settings
from irkit.text import nearest, printable

_PACKAGE = Path(__file__).resolve().parent.parent
_SUFFIXES = (".yaml", ".yml")


class Entry(msgspec.Struct, frozen=True):
    """A playbook that can be called by name. ``mistake`` says why it can't be read; then ``playbook`` is None."""

    name: str
    path: Path
    builtin: bool
    playbook: Playbook | None = None
    mistake: str = ""


def builtin(what: str = "playbooks") -> Path:
    """The directory of the built-in ``playbooks`` or ``runbooks``."""
    packed = _PACKAGE / f"_{what}"
    return packed if packed.is_dir() else _PACKAGE.parent / what


def find(name_or_path: str, settings: Settings) -> Playbook:
    """The playbook of that name, or in that file (whatever has a slash or ends in .yaml).

    Raises PlaybookError with its mistakes, UsageError where there is none, with the nearest names.
    """
    return load(locate(name_or_path, settings))


def locate(name_or_path: str, settings: Settings) -> Path:
    """The file of a playbook. Raises UsageError."""
    if os.sep in name_or_path or name_or_path.endswith(_SUFFIXES):
        return Path(name_or_path)
    known = _files(settings)
    if name_or_path in known:
        return known[name_or_path]
    near = nearest(name_or_path, known, 3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(sorted(known))}"
    raise UsageError(f"no playbook '{printable(name_or_path, 80)}'{hint}", next="irkit playbook list")


def load(path: Path) -> Playbook:
    """The playbook in a file, its runbook too. Raises PlaybookError."""
    return loader.load(path, runbooks=_runbooks(path))


def runbook(playbook: Playbook) -> Path:
    """The human twin of a playbook. Raises UsageError where it is gone since."""
    path = Path(playbook.path)
    for folder in (*loader.places(path), *_runbooks(path)):
        if (folder / playbook.runbook).is_file():
            return folder / playbook.runbook
    raise UsageError(f"no runbook {playbook.runbook} beside {printable(playbook.path)} or in ../runbooks")


def list_all(settings: Settings) -> Iterator[Entry]:
    """Every playbook that can be called by name, by name; those with mistakes too."""
    for name, path in sorted(_files(settings).items()):
        own = path.parent == builtin()
        try:
            yield Entry(name, path, own, load(path))
        except PlaybookError as error:
            yield Entry(name, path, own, None, error.message)


def _files(settings: Settings) -> dict[str, Path]:
    """By name, which is the file's: a file of the user's directory hides the built-in one."""
    folders = [builtin()]
    if settings.playbooks is not None:
        folders.append(settings.playbooks.expanduser())
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
        except OSError as error:
            raise UsageError(f"playbooks: {printable(folder)}: {error.strerror}") from None
        found.update({path.stem: path for path in paths})
    return found


def _runbooks(path: Path) -> tuple[Path, ...]:
    return (builtin("runbooks"),) if path.absolute().parent == builtin() else ()
