"""The last lines of a run: what holds, where the evidence is, whom to tell, and one next command."""

from __future__ import annotations

from typing import Any

from irkit.cli.output import Out, table
from irkit.engine.result import RunResult
from irkit.settings import Settings
from irkit.text import plural, printable


def tell(out: Out, result: RunResult, settings: Settings) -> None:
    """For people. Every outcome ends with exactly one ``next:`` line."""
    if result.credentials:
        credentials(out, result.credentials)
    for line in _sentences(result):
        out.line(line, style="" if result.exit_code == 0 else "yellow", hang=3)
    evidence = result.evidence
    if evidence is not None:
        for path in evidence.bundles:
            out.line(f"  evidence   {path}")
        for bag in evidence.elsewhere:
            out.line(f"  evidence   bag {bag['bag']}: {printable(bag['where'], 1000)}", hang=13)
        if evidence.missing:
            out.line(f"  not got    {plural(len(evidence.missing), 'piece')}; irkit bundle show lists them with their reasons")
    for step in result.steps:
        if step.step == "notify" and step.outcome == "skipped" and "not delivered" in step.why:
            out.line(f"  not told   {printable(step.why.removeprefix('not delivered to '), 1000)}", style="yellow", hang=13)
    if settings.contacts and result.outcome != "planned":
        contacts = ", ".join(f"{c.name} <{c.address}>" for c in settings.contacts)
        out.line(f"  tell       {printable(contacts, 1000)}", hang=13)
    if result.next:
        out.line(f"  next:      {result.next}")


def credentials(out: Out, found: list[dict[str, Any]]) -> None:
    """One line for each credential: what became of it, of its old value, and of those that use it; below, how that is known."""
    rows: list[tuple[str, ...]] = []
    for line in found:
        used = line["consumers"]
        users = f"{used['restarted']}/{used['total']} restarted" if used["total"] else "none runs"
        waits = {"manual": "waiting for you", "failed": "not restarted for it"}
        rows.append((_name(line), line["class"], line["outcome"], line["oldValue"], waits.get(line["outcome"], users)))
    table(out, ("credential", "class", "result", "old value", "consumers"), rows)
    for line in found:
        out.line(f"    {line['name'].rpartition('/')[2]} ({line['class']}): {line['how']}", hang=6)
    for left in dict.fromkeys(item for line in found for item in line["left"]):
        out.line(f"  ! still runs with the old value: {printable(left, 300)}", style="yellow", hang=4)


def _name(line: dict[str, Any]) -> str:
    return str(line["name"]) + (f"/{','.join(line['keys'])}" if line["keys"] else "")


def _sentences(result: RunResult) -> list[str]:
    target = result.target or {}
    name = printable(target.get("name", "it"))
    if result.outcome == "planned":
        writes = any(c["change"] in ("create", "patch", "delete") for s in result.steps for c in s.changes)
        return ["Nothing was changed: this was a dry run" + (", and the cluster would accept every change." if writes else ".")]
    failed = [s for s in result.steps if s.outcome in ("failed", "declined")]
    isolation = result.isolation or {}
    parts = []
    if isolation.get("verdict") == "leaks":
        leaks = isolation.get("leaks", [])
        open_ = result.incident is None or any(leak["policy"] is None for leak in leaks)  # a whole direction is no exception
        parts.append(f"5: {name} is {'not cut off' if open_ else 'cut off except for'}: {plural(len(leaks), 'leak')}")
        parts += [f"   {leak['direction']:<8} {_leak(leak)}" for leak in leaks]
    parts += [f"{result.exit_code}: step {s.id} {s.outcome}: {printable(s.why, 400)}" for s in failed]
    parts += [f"5: {printable(c['summary'], 400)}" for c in result.checks if c["holds"] is not True and c["check"] != "isolated"]
    if isolation.get("verdict") == "isolated" and isolation.get("enforcement") == "none":
        plugin = printable(isolation.get("cni") or "the network plugin")
        parts.insert(0, f"5: {name} is not cut off: its policies say so, but {plugin} does not enforce policies")
    if not failed and (manual := [c["name"] for c in result.credentials if c["outcome"] == "manual"]):
        parts.append(f"5: left to a human: {printable(', '.join(manual), 400)}")
    return parts or [_good(result, name)]


def _leak(leak: dict[str, object]) -> str:
    where = "no policy covers it" if leak["policy"] is None else f"{printable(leak['policy'])}, rule {leak['rule']}"
    return f"{where}: {printable(leak['peer'])}, {printable(leak['ports'])}"


def _good(result: RunResult, name: str) -> str:
    verdict = (result.isolation or {}).get("verdict")
    if result.command == "close":
        return f"Closed. Incident {result.incident}, on record."
    if result.command == "redeploy" and (runs := next((c for c in result.checks if c["check"] == "image"), None)):
        return f"Redeployed. {printable(runs['summary'], 400)}."
    if result.command == "lift":
        return f"Lifted. {name}: {result.steps[0].why}."
    if verdict == "isolated" and result.command != "verify":
        alive = any(c["check"] == "alive" and c["holds"] and " is alive" in c["summary"] for c in result.checks)
        if any(s.step == "redeploy" and s.outcome in ("done", "unchanged") for s in result.steps):
            return f"Recovered. The workload runs its new image; {name} is {'alive and ' if alive else ''}{_cut(result)}."
        return f"Contained. {name} is {'alive and ' if alive else ''}{_cut(result)}" + ("; its workload is stopped." if _stopped(result) else ".")
    if verdict == "isolated":
        return f"Holds. {name} is {_cut(result)}."
    if verdict == "gone":
        if result.incident is None:
            return f"{name} is gone: nothing is left to cut off."
        return f"{name} is gone; what is left of it was collected" + (", and its workload is stopped." if _stopped(result) else ".")
    if result.command == "rotate" or (result.steps and all(s.step == "rotate" for s in result.steps)):
        return f"Rotated. {plural(len(result.credentials), 'credential')}." if result.credentials else "Nothing to rotate: no credential is in scope."
    return f"Holds. {plural(len(result.checks), 'check')}." if result.command == "verify" else "Done."


def _stopped(result: RunResult) -> bool:
    return any(c["check"] == "stopped" and c["holds"] for c in result.checks)


def _cut(result: RunResult) -> str:
    """What may be claimed: policies cut nothing off where nobody enforces them."""
    known = (result.isolation or {}).get("enforcement") == "enforced"
    return "cut off" if known else "cut off by policy (not known whether policies are enforced)"
