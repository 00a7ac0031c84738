#!/usr/bin/env python3
"""What of deploy/ is made from something else: the rights of each playbook, from irkit; the plain manifests, from the chart.

generate.py [--check]      --check: change nothing, end with status 1 where something is not up to date
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

if not __package__:  # called by its path
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from irkit import settings
from irkit.engine import library, rights

HERE = Path(__file__).resolve().parent
CHART = HERE / "chart" / "irkit"
RIGHTS = CHART / "files" / "rights.json"
NAMESPACE = "NAMESPACE"  # stands for any: a RoleBinding there says which
HEADER = "# Made from deploy/chart/irkit by `make manifests`: change that.\n"
Obj = dict[str, Any]


def playbook_rights() -> str:
    """``{playbook: {inside, outside}}``: rules for a namespace, and rules for what is in none of them."""
    found = {}
    for entry in library.list_all(settings.load({"HOME": "/nonexistent"})):
        assert entry.playbook is not None, entry.mistake
        rules: dict[str, list[Obj]] = {"Role": [], "ClusterRole": []}
        for manifest in rights.manifests(rights.least(entry.playbook, "", NAMESPACE), entry.name, NAMESPACE):
            rules[manifest["kind"]] = manifest["rules"]
        found[entry.name] = {"inside": [_itself(), *rules["Role"]] if rules["Role"] else [], "outside": [_named(r) for r in rules["ClusterRole"]]}
    return "{\n" + ",\n".join(f'"{name}": {{\n{_lines(parts)}\n}}' for name, parts in sorted(found.items())) + "\n}\n"


def _lines(parts: dict[str, list[Obj]]) -> str:
    """A rule a line, so that a change shows which right it is about."""
    return ",\n".join(f' "{where}": [\n' + ",\n".join(f"  {json.dumps(rule)}" for rule in rules) + "\n ]" for where, rules in parts.items())


def _itself() -> Obj:
    """Bound in a namespace, this is the right to read that namespace alone."""
    return {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}


def _named(rule: Obj) -> Obj:
    """Without the stand-in: the namespace itself is read by `_itself`."""
    names = [n for n in rule.get("resourceNames", ()) if n != NAMESPACE]
    return {**rule, "resourceNames": names} if names else rule


def helm() -> str:
    """The program: ``HELM``, or the one that `make controlplane` built."""
    if given := os.environ.get("HELM"):
        return given
    from tests.controlplane import binaries

    try:
        return str(binaries.find("helm"))
    except binaries.NotBuilt as missing:
        raise SystemExit(f"{missing}; or name one by HELM") from None


def render(*options: str) -> str:
    """The chart as `helm template` prints it."""
    command = [helm(), "template", "irkit", str(CHART), "--namespace=irkit-system", "--kube-version=1.30.0", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return done.stdout


def files() -> dict[Path, str]:
    """Each generated file, and what must be in it. The chart is rendered with the rights that lie there."""
    values = f"--values={HERE / 'manifests' / 'values.yaml'}"
    namespace = render(values, "--show-only=templates/namespace.yaml")
    return {HERE / "manifests" / "namespace.yaml": HEADER + namespace, HERE / "manifests" / "irkit.yaml": HEADER + render(values)}


def put(wanted: dict[Path, str], *, checking: bool) -> list[str]:
    """Write these files where they are not so already; returns which those were."""
    stale = {path: text for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items() if not checking else ():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [str(path.relative_to(HERE.parent)) for path in stale]


def main() -> None:
    checking = sys.argv[1:] == ["--check"]
    stale = put({RIGHTS: playbook_rights()}, checking=checking)
    stale += put(files(), checking=checking)  # after the rights, which they are made from
    if checking and stale:
        sys.exit(f"not up to date: {', '.join(stale)}; run make manifests")


if __name__ == "__main__":
    main()
