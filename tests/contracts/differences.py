"""Where the rehearsal cluster may differ from Kubernetes 1.35.4. Nothing here concerns a request that irkit sends.

Each entry is a reason to compare less, and is used by a test: an entry that no test uses fails the suite.
"""

from __future__ import annotations

TOLERATED = {
    "schema": "unknown fields are stored, not refused: there are no schemas (kubectl apply with a typing error)",
    "json-error": "the words after `error decoding patch:` come from another JSON parser",
    "immutable-pod": "no diff is appended to the refusal of a change of a pod's spec",
    "defaulted-fields": "managedFields also count fields that defaults filled in (priority, tolerations), and `.` of keyed lists",
    "service-account-volume": "pods get no kube-api-access volume",
    "protobuf": "only the kinds of `kubectl auth can-i`, create secret, configmap and namespace are read as protobuf; others are 415",
    "termination": "pods are gone at once after their deletion, whatever their grace period",
    "node-proxy": "there is no kubelet: every path behind a node answers 404 (kwok refuses to proxy to loopback: 400)",
    "previous-log": "kwok answers 500 for a run that it has no file for; a kubelet, and the rehearsal cluster, 400",
}

used: set[str] = set()


def tolerate(name: str) -> None:
    """Note that a test compares less because of this entry. Raises KeyError where there is no such."""
    used.add(name if TOLERATED[name] else "")
