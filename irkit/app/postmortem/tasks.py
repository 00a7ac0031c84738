"""What to ask, learn and change after an incident, as far as the record suggests it."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.app.closing import Left
from irkit.app.postmortem import findings, moments
from irkit.app.postmortem.record import Record
from irkit.evidence.report import times
from irkit.evidence.report.values import Reached, Task
from irkit.model.changes import Ask
from irkit.model.kube import dicts
from irkit.model.outcome import Done
from irkit.settings import Settings
from irkit.settings.notify import meant
from irkit.text import plural

_QUICK = 60 * 10**9  # nanoseconds from opening to the cut that are worth a word of praise
_LOOSE = 1.0  # seconds that clocks may differ
_MOST = 12  # tasks of one kind


def causes(record: Record) -> tuple[str, ...]:
    target = record.state.incident.target
    images = ", ".join(dict.fromkeys(c.image for c in target.containers))
    restarts = sum(c.restarts for c in target.containers)
    ran = (f"The pod ran {images}" if images else "The image is not known") + (f", with {plural(restarts, 'restart')}." if restarts else ".")
    by = record.state.reported.by
    return (
        f"How did they get in? {ran}",
        "Which weakness made that possible, and since when was it there?",
        "What did they do with what they could reach? Logs and events are in the bags; the API server's audit log and the issuers' logs are not.",
        "Why was it noticed when it was, and not before?" + (f" It was noticed by {by}." if by else ""),
    )


def answers(record: Record) -> tuple[tuple[str, str], ...]:
    """What people said when a step asked them: the step, and their words."""
    state, found = record.state, []
    for call, intent in state.intents.items():
        outcome = state.results.get(call)
        if isinstance(intent.change, Ask) and isinstance(outcome, Done):
            found.append((intent.step, f"{record.by(intent.run)}: {outcome.data.get('answer') or outcome.detail}"))
    return tuple(found)


def lessons(record: Record, left: list[Left]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    well, badly = [], []
    opened, isolated = record.state.incident.opened, moments.cut(record)
    if isolated and 0 <= times.nanoseconds(isolated[0]) - times.nanoseconds(opened) < _QUICK:
        well.append(f"The pod was cut off {times.between(opened, isolated[0])} after the incident was opened.")
    if record.state.bags and not findings.gaps(record) and not record.state.unkept:
        well.append("Everything that was sought as evidence was got, before anything was ended.")
    if record.credentials and all(c["oldValue"] == "dead" for c in record.credentials):
        well.append("Every old credential was shown to be refused.")
    badly += [f"Not collected: {what} ({why})." for what, why in findings.gaps(record)[:_MOST]]
    badly += [f"Not known how it ended: {what}." for what in moments.unknown(record)[:_MOST]]
    badly += [f"Somebody was {why}." for why in record.undelivered]
    badly += [f"Left undone: {one.what}." for one in left[:_MOST]]
    return (("What went well", tuple(well)), ("What went badly", tuple(badly)), ("Where we were lucky", ()))


def tasks(record: Record) -> tuple[Task, ...]:
    """A checklist with owners. Those that every incident has come last."""
    return (*_network(record), *_workload(record), *_credentials(record), *_watching(record), *_always(record))


def owner(role: str, settings: Settings) -> str:
    """The role, and who has it by the settings."""
    names = [c.name for _, c in meant((role,), settings.contacts) if c is not None]
    known = ", ".join(n for n in names if n != role)
    return f"{role} ({known})" if known else role


def _network(record: Record) -> Iterator[Task]:
    isolation, platform = (record.state.isolation or ({}, ""))[0], owner("platform", record.settings)
    leaks = dicts(isolation.get("leaks"))
    why = {str(leak.get("policy") or ""): str(leak.get("why") or "") for leak in leaks}
    for policy in list(why)[:_MOST]:
        what = (
            f"Narrow NetworkPolicy {policy}, which still let traffic of the cut-off pod through" if policy else "Have a policy cover both directions"
        )
        yield Task(what, platform, why[policy])
    if isolation.get("enforcement") in ("none", "unknown"):
        yield Task("Have the network plugin enforce policies, and test that it does", platform, f"enforcement here: {isolation['enforcement']}")
    if isolation.get("connections") in ("open", "unknown"):
        yield Task("Find out how to cut connections that are open already", platform, f"after the cut they were: {isolation['connections']}")


def _workload(record: Record) -> Iterator[Task]:
    target, platform = record.state.incident.target, owner("platform", record.settings)
    loose = list(dict.fromkeys(c.image for c in target.containers if c.image and "@sha256:" not in c.image))
    for image in loose[:_MOST]:
        yield Task(f"Pin {image} by digest, and have admission demand it", platform, "a tag can be pushed again")
    if target.host_network:
        yield Task("Take hostNetwork from this workload, or give it nodes of its own", platform, "no policy can cut such a pod off")
    yield Task("Run it as a user without privileges, with a read-only root and no capabilities that it does not need", platform,
               "Pod Security Standards, level restricted")  # fmt: skip


def _credentials(record: Record) -> Iterator[Task]:
    platform, lead, reached = owner("platform", record.settings), owner("security-lead", record.settings), findings.reached(record)
    for item in [c for c in record.credentials if c["outcome"] in ("manual", "failed")][:_MOST]:
        yield Task(f"Have {item['name']} issued anew, and the old value revoked", lead, str(item["how"]))
    for item in [c for c in record.credentials if c["outcome"] == "rotated" and c["oldValue"] != "dead"][:_MOST]:
        yield Task(f"Show that the old value of {item['name']} is refused", lead, f"it is {item['oldValue']}")
    if unclear := [r for r in reached if r.cls == "manual"]:
        yield Task(f"Write down how to rotate {_few(unclear)}", platform, "annotation irkit.dev/rotation, or a rule in the settings")
    if shared := [r for r in reached if r.shared]:
        yield Task(f"Give each workload credentials of its own: {_few(shared)}", platform, "one stolen credential was several workloads'")
    if granted := [r for r in reached if any(w.startswith("rbac") for w in r.reasons)]:
        account = record.state.incident.target.service_account or "its ServiceAccount"
        yield Task(f"Take from {account} the right to read what it does not need: {_few(granted)}", platform, "in reach by RBAC")
    old = [r for r in reached if r.age.endswith(" d") and float(r.age[:-2]) > record.settings.rotation.passwords]
    if old:
        yield Task(f"Rotate on schedule: {_few(old)}", platform, f"older than {record.settings.rotation.passwords:g} days; irkit rotate --due")
    if not record.credentials and reached:
        yield Task(f"Rotate what was in reach: {_few(list(reached))}", lead, "nothing was rotated in this incident")


def _few(items: list[Reached]) -> str:
    names = [r.name for r in items[:4]]
    return ", ".join(names) + (f" and {len(items) - 4} more" if len(items) > 4 else "")


def _watching(record: Record) -> Iterator[Task]:
    platform = owner("platform", record.settings)
    if missing := findings.ungot(record):
        yield Task(
            "Ship logs and events off the cluster, so that they outlive their pods", platform, f"{plural(len(missing), 'piece')} could not be got"
        )
    skew = record.state.incident.cluster.clock_skew
    if skew is None or abs(skew) > _LOOSE:
        yield Task("Keep clocks together (NTP)", platform, "the skew was not measured" if skew is None else f"they differed by {abs(skew):.1f} s")
    if record.undelivered:
        yield Task("Have the contacts of the settings reachable, and try them", owner("security-lead", record.settings), record.undelivered[0])


def _always(record: Record) -> Iterator[Task]:
    lead, management = owner("security-lead", record.settings), owner("management", record.settings)
    yield Task("Detect the way in: a rule or an alert that would have told earlier", lead, "from the root cause")
    yield Task(f"Change playbook {record.state.incident.playbook} and its runbook where they did not fit, and rehearse them", lead, "irkit rehearse")
    yield Task("Decide who has to be told, and tell them in time", management, "law, contracts, customers")
    yield Task("Keep the bags as long as they may be needed, where nobody can change them", lead, "evidence")
