"""The options that commands share, with kubectl's names where they mean the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from irkit.errors import UsageError
from irkit.text import printable

Target = Annotated[str | None, typer.Argument(metavar="TARGET", help="POD or kind/name", show_default=False)]
Selector = Annotated[str | None, typer.Option("-l", "--selector", help="Label selector instead of TARGET")]
Namespace = Annotated[str, typer.Option("-n", "--namespace", help="Namespace; without it, the context's")]
Context = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig; without it, the current one")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="Path of the kubeconfig; without it, KUBECONFIG or ~/.kube/config")]
Output = Annotated[Literal["text", "json"], typer.Option("-o", "--output", help="json: one document on stdout")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to every confirmation")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan, let the server try it, change nothing")]
Playbooks = Annotated[Path | None, typer.Option("--playbooks", help="Directory of playbooks that override the built-in ones")]
Protected = Annotated[str, typer.Option("--protected", metavar="NAMESPACE", help="Name a protected namespace once more to act in it")]
WithoutEvidence = Annotated[str, typer.Option("--without-evidence", metavar="REASON", help="Why pods may end before anything of them is collected")]
ReportedBy = Annotated[str, typer.Option("--reported-by", metavar="WHO", help="Who noticed it; goes into the journal and the report")]
Summary = Annotated[str, typer.Option("--summary", metavar="TEXT", help="What was noticed, in a sentence")]
Severity = Annotated[str, typer.Option("--severity", metavar="LEVEL", help="critical, high, medium or low; without it, the playbook's")]
StartedAt = Annotated[str, typer.Option("--started-at", metavar="TIME", help="Since when: 2026-11-22T03:15:00Z, or '2h ago'")]
KeepWorkload = Annotated[bool, typer.Option("--keep-workload", help="Leave the workload running; only cut the pod off and collect")]
Value = Annotated[
    list[str] | None,
    typer.Option("--value", metavar="SECRET/KEY=FILE", help="File, or /dev/fd/N, with the value that only its issuer can make; may be given again"),
]


def files(words: list[str] | None) -> dict[str, Path]:
    """The words of `Value`: files by credential. Raises UsageError; the value itself is never one of the words."""
    found = {}
    for word in words or ():
        name, equals, path = word.partition("=")
        if not equals or "/" not in name or not path:
            raise UsageError(f"--value takes SECRET/KEY=FILE, not {printable(name, 80)!r}; the value itself is never given as an argument")
        if not os.access(path, os.R_OK) or Path(path).is_dir():  # before anything is rotated; it is read when its turn comes
            raise UsageError(f"--value: {printable(path)} can't be read; nothing was changed")
        found[name] = Path(path)
    return found


def words(context: str | None, kubeconfig: str | None, playbooks: Path | None = None) -> list[str]:
    """These options again, for irkit as a process of its own; ``playbooks``: where that one takes it."""
    given = {"--context": context, "--kubeconfig": kubeconfig, "--playbooks": playbooks}
    return [word for name, value in given.items() if value for word in (name, str(value))]
