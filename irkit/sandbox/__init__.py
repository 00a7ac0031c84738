"""The rehearsal cluster: a small Kubernetes API server with its controllers, and a small Vault, in one process, on loopback.

Not a mock: irkit, kubectl, `bao` and the tests talk HTTPS to it, and `tests/contracts` runs the same requests against it and
against a real control plane, External Secrets Operator and OpenBao. What it does not do: run containers, enforce NetworkPolicies, admit by
webhooks, check objects against schemas, exec, attach and port-forward.

    with Sandbox(scenario="todo-app", seed=0, home=path) as box:
        box.kubeconfig, box.config, box.environment   # ways in: for kubectl, for irkit, for a shell
        box.suspect, box.scenario.images              # what the rehearsal is about
        box.store, box.vault, box.database            # the state, behind the APIs' backs
        box.audit, box.vault.requests                 # what was asked
"""

from irkit.sandbox.box import Sandbox, serve
from irkit.sandbox.scenarios import Scenario

__all__ = ["Sandbox", "Scenario", "serve"]
