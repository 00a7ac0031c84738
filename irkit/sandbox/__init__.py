"""The rehearsal cluster: a small Kubernetes API server with its controllers, in one process, on loopback.

Not a mock: irkit, kubectl and the tests talk HTTPS to it, and `tests/contracts` runs the same requests against it and
against a real control plane. What it does not do: run containers, enforce NetworkPolicies, admit by webhooks, check
objects against schemas, exec, attach and port-forward.

    with Sandbox(scenario="todo-app", seed=0, home=path) as box:
        box.kubeconfig, box.suspect, box.audit, box.store
"""

from irkit.sandbox.box import Sandbox, serve
from irkit.sandbox.scenarios import Scenario

__all__ = ["Sandbox", "Scenario", "serve"]
