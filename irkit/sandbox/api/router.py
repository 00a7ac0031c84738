"""From a call to the function that answers it, after authorization."""

from __future__ import annotations

from irkit.sandbox import rbac
from irkit.sandbox.accounts import Accounts
from irkit.sandbox.api import discovery, eviction, execution, reads, reviews, subresources, writes
from irkit.sandbox.api.call import Answer, Call
from irkit.sandbox.catalog import NODES, PODS, Served
from irkit.sandbox.failures import Failure, bad_request, forbidden, no_such_method, no_such_resource
from irkit.sandbox.logs import Logs
from irkit.sandbox.store import Store


class Router:
    def __init__(self, store: Store, logs: Logs, accounts: Accounts) -> None:
        self._store, self._logs, self._accounts = store, logs, accounts
        self._reads = reads.Reads(store)
        self.catalog = store.catalog

    def answer(self, call: Call) -> Answer:
        """Raises Failure."""
        if call.served is None:
            if not rbac.may_path(self._store, call.user, call.verb, call.path):
                raise Failure(403, "Forbidden", f'forbidden: User "{call.user.name}" cannot {call.verb} path "{call.path}"', {})
            return discovery.answer(self._store.catalog, call)
        served = call.served
        if served.virtual:
            return self._review(served, call)
        if not rbac.may(self._store, call.user, call.attributes):
            raise forbidden(served, call.name, call.attributes.refusal(call.user))
        try:
            return self._subresource(served, call) if call.subresource else self._resource(served, call)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            if call.method == "GET":
                raise Failure(500, "InternalError", f"Internal error occurred: {type(error).__name__}", {}) from error
            # there are no schemas: a field of another type than its readers expect shows only here
            resource = served.resource
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: a field has the wrong type'
            ) from None

    def _review(self, served: Served, call: Call) -> Answer:
        if call.user is rbac.ANONYMOUS:
            raise forbidden(served, "", call.attributes.refusal(call.user))
        if call.method != "POST":
            raise no_such_method()
        if served in reviews.OF_OTHERS and not rbac.may(self._store, call.user, call.attributes):
            raise forbidden(served, "", call.attributes.refusal(call.user))
        return reviews.answer(self._store, self._accounts, served, call)

    def _resource(self, served: Served, call: Call) -> Answer:
        match call.verb:
            case "get":
                return self._reads.get(served, call)
            case "list":
                return self._reads.page(served, call)
            case "watch":
                return self._reads.watch(served, call)
            case "create" if not call.name and (call.namespace or not served.resource.namespaced):
                return writes.create(self._store, served, call)
            case "update" | "patch" if call.name:
                return writes.modify(self._store, served, call)
            case "delete":
                return writes.delete(self._store, served, call)
            case "deletecollection":
                return writes.delete_collection(self._store, served, call, self._reads.matching(served, call))
        raise no_such_method()

    def _subresource(self, served: Served, call: Call) -> Answer:
        if call.subresource not in served.subresources:
            raise no_such_resource()
        match call.subresource, call.method:
            case "proxy", _ if served is NODES:
                return subresources.proxy(self._store, call)
            case "log", "GET" if served is PODS:
                return subresources.log(self._store, self._logs, call)
            case "exec", "GET" | "POST" if served is PODS:
                return execution.execute(self._store, call)
            case "token", "POST":
                return subresources.token(self._store, self._accounts, call)
            case "eviction", "POST":
                return eviction.evict(self._store, call)
            case "scale", "GET" | "PUT" | "PATCH":
                return subresources.scale(self._store, served, call)
            case "status" | "ephemeralcontainers", "GET":
                return self._reads.get(served, call)
            case "status" | "ephemeralcontainers", "PUT" | "PATCH":
                return writes.modify(self._store, served, call)
        raise no_such_method()
