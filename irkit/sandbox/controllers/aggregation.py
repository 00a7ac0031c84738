"""ClusterRoles made of others: their rules are those of the roles that ``aggregationRule`` selects (pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from irkit.model.kube import Obj, at, labels_of, selects
from irkit.sandbox.catalog import CLUSTERROLES
from irkit.sandbox.store import Store


def reconcile(store: Store) -> None:
    roles = store.all(CLUSTERROLES)
    for role in roles:
        if selectors := at(role, ("aggregationRule", "clusterRoleSelectors")):
            rules: list[Obj] = []
            for selector in selectors:
                for other in roles:
                    if other is not role and selects(selector, labels_of(other)):
                        rules += [rule for rule in other.get("rules") or () if rule not in rules]
            if rules != role.get("rules"):
                store.mutate(CLUSTERROLES, role, {"rules": rules})
