"""After a rotation, `verify` finds an old value that somebody has put back."""

from __future__ import annotations

from irkit.app.respond import respond
from irkit.app.verify import verify
from irkit.model.kube import SECRETS, ObjectRef
from tests.engine.harness import bench
from tests.engine.test_laws import case_of


def test_an_old_value_that_is_back_is_drift(tmp_path):
    with bench(tmp_path) as b:
        before = {s["metadata"]["name"]: s.get("data") for s in b.ports.cluster.list(SECRETS, "todo-app")}
        result = respond(b.ports, case_of(b, tmp_path, "rotate"))
        name = result.credentials[0]["name"].partition("/")[2]
        ref, old = ObjectRef(resource=SECRETS, name=name, namespace="todo-app"), before[name] or {}
        changed = [k for k, v in b.ports.cluster.get(ref)["data"].items() if v != old[k]]
        assert changed, result

        def rotated() -> object:
            return next(c["holds"] for c in verify(b.ports, result.incident, None, "").checks if c["check"] == "rotated")

        assert rotated() is True
        b.ports.cluster.patch(ref, {"data": {changed[0]: old[changed[0]]}})
        assert rotated() is False
