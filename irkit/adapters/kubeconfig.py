"""From a kubeconfig, or from inside a pod, to how a cluster is reached and as whom.

Follows client-go (tools/clientcmd, rest.InClusterConfig) so that whatever kubectl can use, irkit can.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from irkit.adapters import kubefiles, proxies
from irkit.adapters.access import About, Access, Endpoint, Trust
from irkit.adapters.credentials import Credential, CredentialSource, Static, TokenFile, basic, bearer
from irkit.adapters.kubefiles import Entry, Merged
from irkit.errors import KubeconfigError
from irkit.text import printable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_EXTENSION = "client.authentication.k8s.io/exec"


def load(joined: str, context: str, environ: Mapping[str, str], *, service_account: Path = SERVICE_ACCOUNT, home: Path | None = None) -> Access:
    """How to reach the cluster of ``context`` (empty: the current one) by the kubeconfig files ``joined`` by ``:``.

    Without files: ``~/.kube/config``, else the ServiceAccount of the pod that we run in. Raises KubeconfigError.
    """
    files = kubefiles.paths(joined)
    default = (home or Path(environ.get("HOME") or Path.home())) / ".kube" / "config"
    if not files and not default.exists():
        if environ.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").exists():
            return _in_cluster(context, environ, service_account)
        raise KubeconfigError(
            f"no kubeconfig: neither --kubeconfig nor KUBECONFIG names one, and there is no {printable(default)}",
            next="irkit sandbox starts a cluster to try things on",
        )
    return _resolved(kubefiles.merge(files or (default,)), context, environ)


def _resolved(merged: Merged, wanted: str, environ: Mapping[str, str]) -> Access:
    name = wanted or merged.current
    if not name:
        known = ", ".join(printable(n) for n in merged.names("context")[:10]) or "none"
        raise KubeconfigError(f"{merged.where}: no current-context, and --context is not given; contexts: {known}")
    context = merged.find("context", name, "--context" if wanted else "current-context")
    cluster = merged.find("cluster", context.text("cluster"), str(context))
    user = merged.find("user", context.text("user"), str(context)) if context.text("user") else None
    endpoint, trust = _endpoint(cluster), _trust(cluster)
    proxy = cluster.text("proxy-url") or proxies.from_environment(endpoint, environ)
    if proxy:
        proxies.parsed(proxy, str(cluster))
    warnings = tuple(_warnings(trust, endpoint, user, context))
    about = About(name, endpoint.url, context.text("namespace") or "default", user.name if user else "", warnings, cluster.name)
    credentials = _credentials(user, cluster, merged, name, environ) if user else Static(Credential())
    return Access(about, endpoint, trust, credentials, proxy, tuple(_impersonation(user)) if user else ())


def _endpoint(cluster: Entry) -> Endpoint:
    server = cluster.text("server")
    try:
        url = urlsplit(server)
        port = url.port
    except ValueError:
        raise KubeconfigError(f"{cluster}: server is no URL") from None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KubeconfigError(f"{cluster}: server must be a URL as https://host:6443" + (", but there is none" if not server else ""))
    prefix = "/".join(quote(segment, safe="%:@~!$&'()*+,;=") for segment in url.path.rstrip("/").split("/"))
    return Endpoint(url.scheme == "https", url.hostname, port or (443 if url.scheme == "https" else 80), prefix)


def _trust(cluster: Entry) -> Trust:
    insecure = cluster.flag("insecure-skip-tls-verify")
    authority = cluster.content("certificate-authority")
    if insecure and authority:
        raise KubeconfigError(f"{cluster}: has both a certificate-authority and insecure-skip-tls-verify; which is meant?")
    return Trust(authority, cluster.text("tls-server-name"), insecure)


def _warnings(trust: Trust, endpoint: Endpoint, user: Entry | None, context: Entry) -> Iterator[str]:
    if not endpoint.tls:
        yield f"{endpoint.url} is not encrypted: anybody on the way can read and change what is sent"
    elif trust.insecure:
        yield "the certificate of the API server is not checked (insecure-skip-tls-verify): it may be anybody's"
    if user is None:
        yield f"{context} names no user: requests are anonymous"


def _credentials(user: Entry, cluster: Entry, merged: Merged, context: str, environ: Mapping[str, str]) -> CredentialSource:
    if user.body.get("auth-provider"):
        from irkit.adapters.official import AuthProvider

        return AuthProvider(str(user), merged.files, context)
    certificate, key = user.content("client-certificate"), user.content("client-key")
    if bool(certificate) != bool(key):
        raise KubeconfigError(f"{user}: client-certificate and client-key go together, and one is missing")
    token = user.text("token")
    authorization = bearer(token, str(user)) if token else ""
    if not authorization and (user.text("username") or user.text("password")):
        authorization = basic(user.text("username"), user.text("password"))
    credential = Credential(authorization, certificate, key)
    if path := user.path("tokenFile"):
        return TokenFile(path, credential)
    if user.body.get("exec") and not authorization:
        return _plugin(user, cluster, environ)
    return Static(credential)


def _plugin(user: Entry, cluster: Entry, environ: Mapping[str, str]) -> CredentialSource:
    from irkit.adapters.execplugin import VERSIONS, ExecPlugin, ExecSpec

    body = user.body["exec"]
    if not isinstance(body, dict):
        raise KubeconfigError(f"{user}: exec must be a mapping")
    spec = Entry("user", user.name, body, user.file)
    command, version = spec.text("command"), spec.text("apiVersion")
    if not command:
        raise KubeconfigError(f"{user}: exec names no command")
    if version not in VERSIONS:
        raise KubeconfigError(f"{user}: exec has apiVersion {printable(version) or '(none)'}; irkit knows {' and '.join(VERSIONS)}")
    arguments, environment = body.get("args") or [], body.get("env") or []
    if not isinstance(arguments, list) or not isinstance(environment, list) or not all(isinstance(e, dict) for e in environment):
        raise KubeconfigError(f"{user}: args and env of exec must be lists")
    relative = os.sep in command and not command.startswith(os.sep)
    return ExecPlugin(
        ExecSpec(
            where=str(user),
            api_version=version,
            command=str(user.file.absolute().parent / command) if relative else command,
            arguments=tuple(str(a) for a in arguments),
            environment=tuple((str(e.get("name", "")), str(e.get("value", ""))) for e in environment),
            hint=spec.text("installHint"),
            interactive=spec.text("interactiveMode") or "IfAvailable",
            cluster=_told(cluster) if spec.flag("provideClusterInfo") else None,
        ),
        environ,
    )


def _told(cluster: Entry) -> dict[str, Any]:
    """What a plugin is told of the cluster (client.authentication.k8s.io Cluster): the CA always as data."""
    import base64

    kept = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression")
    told: dict[str, Any] = {key: cluster.body[key] for key in kept if cluster.body.get(key)}
    if authority := cluster.content("certificate-authority"):
        told["certificate-authority-data"] = base64.b64encode(authority).decode()
    for extension in cluster.body.get("extensions") or ():
        if isinstance(extension, dict) and extension.get("name") == EXEC_EXTENSION:
            told["config"] = extension.get("extension")
    return told


def _impersonation(user: Entry) -> Iterator[tuple[str, str]]:
    """Kubernetes docs, "User impersonation". Values that no header can carry are refused."""
    groups, extra = user.body.get("as-groups") or [], user.body.get("as-user-extra") or {}
    if not isinstance(groups, list) or not isinstance(extra, dict):
        raise KubeconfigError(f"{user}: as-groups must be a list and as-user-extra a mapping")
    found = [("Impersonate-User", user.text("as")), ("Impersonate-Uid", user.text("as-uid"))]
    found += [("Impersonate-Group", str(group)) for group in groups]
    found += [(f"Impersonate-Extra-{quote(str(k), safe='')}", str(v)) for k, values in extra.items() for v in values]
    for name, value in found:
        if any(ord(c) < 0x20 or ord(c) > 0xFF for c in value):
            raise KubeconfigError(f"{user}: {name} has characters that no header may have")
        if value:
            yield name, value


def _in_cluster(wanted: str, environ: Mapping[str, str], account: Path) -> Access:
    """The ServiceAccount of the pod (rest.InClusterConfig); its token is rotated by the kubelet."""
    if wanted:
        raise KubeconfigError(f"--context {printable(wanted)}: inside a pod, without a kubeconfig, there are no contexts")
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT") or "443"
    if not port.isdigit():
        raise KubeconfigError(f"KUBERNETES_SERVICE_PORT is no port: {printable(port)}")
    endpoint = Endpoint(True, host, int(port))
    try:
        authority = (account / "ca.crt").read_bytes()
        namespace = (account / "namespace").read_text().strip() if (account / "namespace").exists() else "default"
    except OSError as error:
        raise KubeconfigError(f"ServiceAccount {printable(error.filename)}: {error.strerror}") from None
    about = About("in-cluster", endpoint.url, namespace, "ServiceAccount of this pod")
    return Access(about, endpoint, Trust(authority), TokenFile(account / "token", Credential()))
