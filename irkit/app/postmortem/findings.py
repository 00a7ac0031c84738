"""What the record says of the incident, in sentences, numbers and rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from irkit.app.postmortem.moments import cut, stops
from irkit.app.postmortem.record import Record
from irkit.evidence.report import times
from irkit.evidence.report.values import Bag, Figure, Reached, Rotated, Tone
from irkit.model.changes import Capture, Patch
from irkit.model.kube import at as look
from irkit.model.kube import dicts
from irkit.model.outcome import Done
from irkit.model.titles import title
from irkit.text import plural, size

_SAID = {"manual": "left to a human", "unchanged": "found new already"}
_FATES: dict[str, Tone] = {"rotated": "good", "unchanged": "", "manual": "warn", "failed": "bad"}


def figures(record: Record) -> tuple[Figure, ...]:
    state, isolated = record.state, cut(record)
    isolation = (state.isolation or ({}, ""))[0]
    found = []
    if isolated and state.reported.started_at:
        found.append(Figure(times.between(state.reported.started_at, isolated[0]) or "not known", "start to cut"))
    if isolated:
        found.append(Figure(times.between(state.incident.opened, isolated[0]) or "not known", "opening to cut"))
    if isolation:
        leaks = isolation.get("leaks")
        words = f"leaks ({len(leaks)})" if isinstance(leaks, list) and leaks else str(isolation.get("verdict", "not known"))
        found.append(Figure(words, "by network policy", "bad" if leaks else "good"))
    pods = len({c.pod.uid for _, c, o, _ in record.outcomes() if isinstance(c, Capture) and isinstance(o, Done)})
    found.append(Figure(plural(pods, "pod"), "with evidence kept", "" if pods else "warn"))
    known = reached(record)
    if known:
        found.append(Figure(str(len(known)), "credentials in reach", "warn"))
    if record.credentials:
        done = sum(c["outcome"] in ("rotated", "unchanged") for c in record.credentials)
        total = len(record.credentials)
        found.append(Figure(f"{done} of {total}", "credentials rotated", "good" if done == total else "warn"))
    return tuple(found)


def facts(record: Record) -> tuple[tuple[str, str], ...]:
    incident, said = record.state.incident, record.state.reported
    target = incident.target
    images = list(dict.fromkeys(c.image + (f" ({c.image_id.rpartition('@')[2]})" if "@" in c.image_id else "") for c in target.containers))
    found = (
        ("Reported by", said.by), ("Suspected start", said.started_at), ("Opened", f"{incident.opened} by {incident.operator.name}"),
        ("Playbook", f"{incident.playbook} {incident.phase}".strip()), ("Cluster", f"{incident.cluster.context} ({incident.cluster.server})"),
        ("Cluster UID", incident.cluster.uid), ("Kubernetes", incident.cluster.version), ("Target", str(target.pod)),
        ("Workload", str(target.workload) if target.workload else "none"), ("Node", target.node), ("ServiceAccount", target.service_account),
        ("Images", ", ".join(images)), *((role.replace("-", " ").capitalize(), name) for role, name in record.state.roles.items()),
    )  # fmt: skip
    return tuple((name, value) for name, value in found if value)


def summary(record: Record) -> tuple[str, ...]:
    state, incident = record.state, record.state.incident
    workload = f", of {incident.target.workload}" if incident.target.workload and incident.target.workload != incident.target.pod else ""
    when = f"On {times.day(incident.opened)} at {times.clock(incident.opened)} UTC"
    found = [f"{when}, {incident.operator.name} opened this incident on {incident.target.pod}{workload}, in cluster {incident.cluster.context}."]
    if state.reported.summary:
        found.insert(0, state.reported.summary)
    if isolated := cut(record):
        after = times.between(incident.opened, isolated[0])
        found.append(f"It was cut off at {times.clock(isolated[0])}" + (f", {after} after the incident was opened." if after else "."))
    for at, change in stops(record):
        found.append(f"{change.ref} was stopped at {times.clock(at)}.")
    if state.bags:
        artefacts, octets = sum(b.artefacts for b in state.bags), sum(b.octets for b in state.bags)
        found.append(f"{plural(artefacts, 'artefact')} of evidence, {size(octets)}, were sealed in {plural(len(state.bags), 'bag')}.")
    if record.credentials:
        outcomes = [c["outcome"] for c in record.credentials]
        counts = ", ".join(f"{outcomes.count(word)} {_SAID.get(word, word)}" for word in _FATES if word in outcomes)
        found.append(f"{plural(len(outcomes), 'credential')} were handled: {counts}.")
    if images := [c for _, c in record.patched("redeploy")]:
        found.append(f"A new image was deployed: {'; '.join(' '.join(title(c).split()) for c in images)}.")
    return tuple(found)


def impact(record: Record) -> tuple[str, ...]:
    """How long what was down, which pods ended, what stayed open."""
    found = list(_outages(record))
    ended = {p.uid for _, c, o, _ in record.outcomes() if isinstance(o, Done) for p in c.ends}
    if ended:
        waived = len(ended & record.state.unkept)
        kept = f"{waived} of them without evidence" if waived else "all collected before"
        found.append(f"{plural(len(ended), 'pod')} were ended by what irkit did, {kept}.")
    isolated, started = cut(record), record.state.reported.started_at
    if isolated and started and (exposed := times.between(started, isolated[0])):
        found.append(f"From the suspected start to the cut the pod could act for {exposed}.")
    isolation = (record.state.isolation or ({}, ""))[0]
    for leak in dicts(isolation.get("leaks")):
        peer = f"{leak.get('direction')} to or from {leak.get('peer')}, {leak.get('ports')}"
        found.append(f"After the cut it could still: {peer} ({leak.get('policy') or 'no policy'}).")
    if isolation.get("connections") in ("open", "unknown"):
        found.append(f"Connections that were open before the cut: {isolation['connections']}.")
    return tuple(found) or ("Nothing was stopped and no pod was ended by what irkit did.",)


def _outages(record: Record) -> Iterator[str]:
    state = record.state
    held = [i.change for i, _ in state.undone()]
    for at, change in stops(record):
        what = " ".join(title(change).split())
        back = [t for t, c in _restored(record) if c.ref.same(change.ref) and times.nanoseconds(t) > times.nanoseconds(at)]
        if back:
            yield f"{what}: from {times.clock(at)} to {times.clock(back[0])}, {times.between(at, back[0])}."
        else:
            yield f"{what}: since {times.clock(at)}" + (", and still so when this was drafted." if change in held else ".")


def _restored(record: Record) -> list[tuple[str, Patch]]:
    state = record.state
    return [(state.times[c], i.change) for c, i in state.intents.items()
            if isinstance(i.change, Patch) and (i.purpose == "lift" or i.change.restores) and isinstance(state.results.get(c), Done)]  # fmt: skip


def reached(record: Record) -> tuple[Reached, ...]:
    """By the blast radius of a bag; without one, what was rotated is known to have been in reach."""
    fates = {(c["name"], c["class"]): c["outcome"] for c in record.credentials}
    if not record.radius:
        return tuple(
            Reached(name=_name(c), cls=str(c["class"]), fate=str(c["outcome"]), tone=_FATES.get(c["outcome"], "")) for c in record.credentials
        )
    own = str(record.state.incident.target.workload)  # its other pods are as suspect: they are nobody else
    found: dict[tuple[str, str], Reached] = {}
    for item in [each for document in record.radius for each in dicts(document.get("credentials"))]:
        place = "/".join(str(p) for p in (item.get("namespace"), item.get("name")) if p)
        fate = fates.get((place, str(item.get("class"))), "")
        kind = "" if item.get("kind") in (None, "Secret") else f"{item['kind']} "
        keys = f"/{','.join(map(str, item['keys']))}" if isinstance(item.get("keys"), list) and item["keys"] else ""
        one = Reached(
            name=f"{kind}{place}{keys}", cls=str(item.get("class", "not known")), source=_source(item.get("source")), age=_age(item, record),
            reasons=tuple(dict.fromkeys(f"{r.get('how')}: {r.get('path')}" for r in dicts(item.get("reasons")))),
            shared=tuple(u for u in _words(item.get("sharedWith")) if u != own), fate=fate, tone=_FATES.get(fate, ""))  # fmt: skip
        old = found.get((one.name, one.cls))
        reasons = tuple(dict.fromkeys((*old.reasons, *one.reasons))) if old else one.reasons
        found[one.name, one.cls] = replace(one, reasons=reasons)
    return tuple(found.values())


def unseen(record: Record) -> tuple[tuple[str, str], ...]:
    """What the blast radius could not look at, and why."""
    return tuple(dict.fromkeys((f"blast radius: {m.get('what')}", str(m.get("why"))) for d in record.radius for m in dicts(d.get("missing"))))


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _source(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    place = "/".join(str(value[k]) for k in ("mount", "path") if value.get(k))
    maker = look(value, ("certificate", "name"), "") or value.get("issuer") or value.get("database") or ""
    return " ".join(str(part) for part in (value.get("kind"), place, maker) if part)


def _age(item: dict[str, Any], record: Record) -> str:
    """In days when the incident was opened."""
    days = item.get("age")
    if isinstance(days, bool) or not isinstance(days, int | float):
        changed, opened = (times.nanoseconds(str(at)) for at in (item.get("changed"), record.state.incident.opened))
        if not changed:
            return "not known"
        days = (opened - changed) / 86_400e9
    return f"{max(days, 0):.0f} d"


def _name(credential: dict[str, Any]) -> str:
    return "/".join([credential["name"], ",".join(credential["keys"])]).rstrip("/")


def rotated(record: Record) -> tuple[Rotated, ...]:
    found = []
    for c in record.credentials:
        users = c["consumers"]
        tone: Tone = "bad" if c["oldValue"] == "alive" and c["outcome"] == "rotated" else _FATES.get(c["outcome"], "")
        found.append(Rotated(_name(c), c["class"], c["outcome"], c["oldValue"], c["how"], f"{users['restarted']} of {users['total']} restarted",
                             ", ".join(map(str, c["left"])), tone))  # fmt: skip
    return tuple(found)


def bags(record: Record) -> tuple[Bag, ...]:
    found = []
    for (path, contents), sealed in zip(record.bags, record.state.bags, strict=True):
        report = record.reports.get(path)
        intact = contents is not None and report is not None and report.valid
        state = "as it was sealed" if intact else "not there" if report is None else f"not as it was sealed: {report.problems[0]}"
        found.append(
            Bag(
                str(path),
                f"{plural(sealed.artefacts, 'artefact')}, {size(sealed.octets)}",
                state,
                sealed.manifest_sha256,
                "good" if intact else "bad",
            )
        )
    return tuple(found)


def gaps(record: Record) -> tuple[tuple[str, str], ...]:
    """All that was sought and not got."""
    return (*ungot(record), *unseen(record))


def ungot(record: Record) -> tuple[tuple[str, str], ...]:
    """The evidence that was sought and not got."""
    return tuple(dict.fromkeys((g.what, g.why) for b in record.state.bags for g in b.gaps))


def skew(record: Record) -> str:
    """Whose clock which time is by, and how far apart they are."""
    measured = record.state.incident.cluster.clock_skew
    if measured is None:
        return "The clock of the API server was not compared with the one that irkit ran by; times of lane cluster are by the cluster's clocks."
    how = f"{abs(measured):.3f} s {'ahead of' if measured >= 0 else 'behind'}"
    return (f"The API server's clock was {how} the one that irkit ran by, which the order of the lines takes into account; times of lane cluster "
            "are as the cluster wrote them, and each node has a clock of its own.")  # fmt: skip
