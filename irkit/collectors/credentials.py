"""The blast radius of the pod: which credentials it could reach, and by which path. Names and reasons, never a value."""

from __future__ import annotations

from collections.abc import Iterator

from irkit import API_VERSION
from irkit.collectors.base import GET_POD, LIST_PODS, Asker, Read, indented, missing
from irkit.credentials import TEMPLATES, look
from irkit.errors import IrkitError
from irkit.model.evidence import Artefact, Piece, Scope
from irkit.model.kube import CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES, SECRETS, SERVICEACCOUNTS
from irkit.ports import ClusterReader
from irkit.settings import Settings

_HERE = (
    SECRETS,
    SERVICEACCOUNTS,
    ROLES,
    ROLEBINDINGS,
    *TEMPLATES,
    *look.EXTERNALSECRETS,
    *look.SECRETSTORES,
    *look.CERTIFICATES,
    *look.PROVIDERCLASSES,
)
_EVERYWHERE = (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS, *look.CLUSTERSECRETSTORES)
_NARROW = "a collection reads Secrets of the pod's own namespace only; irkit blast-radius reads all"


class Credentials:
    name = "credentials"
    volatility = 65
    reads = (GET_POD, LIST_PODS, Read("get", SECRETS), *(Read("list", r) for r in _HERE), *(Read("list", r, "everywhere") for r in _EVERYWHERE))

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """``pods/NS/POD/credentials.json``: as `irkit blast-radius -o json`, with times for ages, and classes as the cluster alone tells them.

        What may not be read, and whatever is in other namespaces, is under ``missing`` in it.
        """
        from irkit.credentials import reached
        from irkit.credentials.document import finding_doc, missing_doc

        ask, what = Asker(cluster, scope), f"credentials that {scope.pod} could reach"
        if pod := ask.pod():
            try:
                found = reached([pod], cluster, Settings(), None, narrow=_NARROW)
            except IrkitError as error:
                yield missing(what, error)
                return
            target = {"kind": "Pod", "namespace": scope.pod.namespace, "name": scope.pod.name, "uid": scope.pod.uid}
            document = {"apiVersion": API_VERSION, "kind": "BlastRadius", "target": target,
                        "credentials": [finding_doc(f) for f in found.findings], "missing": missing_doc(found.unknown)}  # fmt: skip
            content = indented(document)  # now, so that nothing keeps the Secrets
            yield Artefact(("pods", scope.pod.namespace, scope.pod.name, "credentials.json"), lambda: iter((content,)), what, of=scope.pod.uid)
        yield from ask.missing
