"""The commands and what each is for: one table for the help, the completion and the lazy imports. Imports nothing."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "contain": ("irkit.cli.contain", "Cut a pod off, keep its evidence, stop its workload."),
    "collect": ("irkit.cli.collect", "Collect evidence only; writes nothing to the cluster."),
    "blast-radius": ("irkit.cli.blast_radius", "List every credential that a pod could reach, and why."),
    "rotate": ("irkit.cli.rotate", "Give stolen credentials new values, restart what uses them, end the old ones."),
    "verify": ("irkit.cli.verify", "Prove that a pod is cut off, or that an incident's end states hold; watch them."),
    "redeploy": ("irkit.cli.redeploy", "Bring a workload back with an image that is pinned and scanned."),
    "respond": ("irkit.cli.respond", "Run a playbook, or some of its phases."),
    "resume": ("irkit.cli.resume", "Go on where a run was interrupted."),
    "lift": ("irkit.cli.lift", "Undo a containment: the workload back, the pod kept, returned or deleted."),
    "incident": ("irkit.cli.incident", "List and show incidents, draft their post-mortem, close them."),
    "bundle": ("irkit.cli.bundle", "Verify, show and push evidence."),
    "playbook": ("irkit.cli.playbook", "List, show, validate playbooks; their schema and their rights."),
    "order": ("irkit.cli.order", "List, show and take back what chats and alerts asked for."),
    "approve": ("irkit.cli.approve", "Approve, or decline, the plan of an order that waits."),
    "slack": ("irkit.cli.slack", "Collect evidence and contain pods from Slack."),
    "serve": ("irkit.cli.serve", "Take in alerts by webhook; rules say what is ordered then."),
    "rehearse": ("irkit.cli.rehearse", "See or practise an incident on the built-in cluster."),
    "sandbox": ("irkit.cli.sandbox", "Start the built-in cluster for kubectl and irkit."),
    "doctor": ("irkit.cli.doctor", "Check this machine, the kubeconfig, the cluster and your rights."),
}


def overview() -> str:
    """What ``irkit --help`` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join([
        "irkit cuts a compromised Kubernetes pod off, keeps its evidence, gives new values to",
        "what it knew, brings its workload back, and proves that each of these holds.", "",
        "  irkit contain POD -n NAMESPACE     the command for 03:00", "",
        "Commands:", *lines, "",
        "irkit COMMAND --help tells more. --version prints the version.",
        "Exit codes: 0 holds, 1 failure, 2 usage, 3 declined, 4 forbidden, 5 does not hold,",
        "6 evidence incomplete, 7 unreachable, 8 refused for safety, 130 interrupted.",
    ])  # fmt: skip
