"""`irkit rehearse clean`: take away what games on real clusters left behind when they were killed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from irkit.cli import options
from irkit.errors import Declined, IrkitError, worst
from irkit.settings import Settings
from irkit.text import printable

if TYPE_CHECKING:
    from irkit.app.staging.removal import Left

Staging = Annotated[str, typer.Option("--staging", metavar="CONTEXT", help="Only the cluster of this context, recorded or not")]
_CODES = {"hangs": 7, "changed": 8}


def clean(staging: Staging = "", yes: options.Yes = False, output: options.Output = "text") -> int:
    """Remove the namespaces of games on real clusters that ended without removing them.

    Removes what this machine has a record of; asks about what irkit made from another machine; leaves everything else alone.

    Exit code 0: nothing of this machine's is left; 7: a cluster does not answer, or a namespace does not go; 8: one was changed since.
    """
    from irkit import wiring
    from irkit.app.staging.removal import Left
    from irkit.cli import output as streams

    configured = wiring.settings()
    found: list[Left] = []
    codes: list[int] = []
    for context, kubeconfig in _places(configured, staging):
        where = wiring.settings(context=context, **({"kubeconfig": kubeconfig} if kubeconfig else {}))
        try:
            found += _cleaned(where, context, yes=yes)
        except IrkitError as error:
            if error.exit_code == 3:
                raise
            codes.append(error.exit_code)
            found.append(Left(namespace="", context=printable(context, 120), outcome="unreachable", why=error.message))
    codes += [_CODES[left.outcome] for left in found if left.outcome in _CODES]
    if output == "json":
        streams.document({"kind": "StagingClean", "namespaces": found, "exitCode": worst(codes)})
    else:
        _tell(found)
    return worst(codes)


def _places(configured: Settings, staging: str) -> list[tuple[str, str]]:
    """Contexts, each with the kubeconfig that it was in."""
    from irkit.app.staging.ledger import Ledger

    recorded = dict.fromkeys((made.context, made.kubeconfig) for made in Ledger(configured.home).open())
    if not staging:
        return list(recorded)
    return [place for place in recorded if place[0] == staging] or [(staging, configured.kubeconfig)]


def _cleaned(where: Settings, context: str, *, yes: bool) -> list[Left]:
    from irkit import wiring
    from irkit.app.staging.ledger import Ledger
    from irkit.app.staging.removal import Cleaner

    approver = wiring.asker(yes=yes)
    with wiring.staging(where) as ground:
        uid = ground.connection.identify().uid
        cleaner = Cleaner(ground.cluster, ground.clock, Ledger(where.home), context, uid, where.protected_namespaces,
                          lambda question, over: over if yes else approver.confirm(question))  # fmt: skip
        names = cleaner.recorded()
        if names and not approver.confirm(f"Remove {', '.join(names)} of {printable(context, 120)} with all that is in it?"):
            raise Declined("nothing was removed")
        return cleaner.clean()


def _tell(found: list[Left]) -> None:
    from irkit.cli import output as streams

    out = streams.stdout()
    for left in found:
        out.line(f"  {left.outcome:<11} {left.namespace or 'cluster'} of {left.context}{f': {left.why}' if left.why else ''}", hang=14)
    if not found:
        out.line("Nothing of a game is left on any cluster that this machine has a record of.")
