"""README's transcript: the whole incident, on a real control plane with a real OpenBao, External Secrets Operator and PostgreSQL.

`python -m tests.docs.chain` types the commands at a terminal and prints what a person would have seen; with ``--write`` it
goes into README.md. `tests/docs/test_readme_transcript.py` plays it again and compares.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import yaml

from tests.components import openbao, postgres
from tests.components.openbao import OpenBao
from tests.components.postgres import Postgres
from tests.controlplane.controllers import controlling
from tests.controlplane.running import Running, running
from tests.docs import pages, transcript
from tests.docs.transcript import Terminal
from tests.e2e import todo
from tests.e2e.todo import Todo
from tests.e2e.world import name_of

SUMMARY = "a shell was opened in a backend pod"
HOW = b"By the file upload: its log has the request, at 02:51."
WHAT = b"The database: its log has two logins from this pod. Of the rest nothing is known."


def produce(plane: Running, bao: OpenBao, database: Postgres, home: Path) -> str:
    """Play all of it; returns the transcript. Leaves namespaces ``todo-app`` and ``irkit-system`` to whoever called."""
    for namespace in ("irkit-system", "todo-app"):
        plane.kubectl("create", "namespace", namespace)
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "todo-app", "--timeout=20s")
    with todo.deployed(plane, "todo-app", bao, database, replicas=3) as app:
        return _played(app, Terminal(home, plane.admin_kubeconfig, configured(app, home), VAULT_ADDR=bao.address, VAULT_TOKEN=app.token))


def configured(app: Todo, home: Path) -> str:
    """The settings that README names: whom to tell, and how irkit logs in at the database."""
    home.mkdir(exist_ok=True)
    password = home / "db-admin"
    password.touch(0o600)
    password.write_text(app.admin[1])
    login = {"engine": "postgresql", "user": app.login, "host": app.postgres.host, "port": app.postgres.port,
             "ca-file": str(app.postgres.ca), "admin": app.admin[0], "admin-password-file": str(password)}  # fmt: skip
    return transcript.CONFIG + yaml.safe_dump({"databases": {"todo": login}, "recovery": {"settle": 1}})


def _played(app: Todo, person: Terminal) -> str:
    suspect = min(name_of(pod) for pod in app.pods())
    key = f"gsk_{'0' * 40}".encode()
    person.type(f"irkit contain {suspect} -n todo-app --reported-by soc --summary '{SUMMARY}'", b"y", b"y", code=0)
    person.type(f"irkit blast-radius {suspect} -n todo-app", code=0)
    person.type(f"irkit respond compromised-pod {suspect} -n todo-app -p image={app.patched}", HOW, WHAT, b"y", key, b"y", b"y", code=0)
    person.type("irkit incident report", code=0)
    person.type("irkit lift --pod delete", b"y", code=0)
    person.type("irkit incident close", b"y", code=0)
    return "\n".join(person.shown)


def main() -> None:
    """Print it; with ``--write``, put it into README.md."""
    home = transcript.short_home()
    try:
        with running(nodes=3) as plane, controlling(plane.home, "external-secrets"), openbao.running() as bao, postgres.running() as database:
            text = produce(plane, bao, database, home)
    finally:
        shutil.rmtree(home)
    if sys.argv[1:] == ["--write"]:
        pages.write(pages.README, "chain", f"```console\n{text}```\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
