"""How a Vault is reached: the settings and the variables that the `vault` command knows (developer.hashicorp.com/vault/docs/commands)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

from irkit.adapters import proxies, tls
from irkit.adapters.access import About, Access, Endpoint, Trust
from irkit.adapters.credentials import Credential, CredentialSource
from irkit.errors import KubeconfigError, UsageError
from irkit.settings.rotation import VaultSettings
from irkit.text import printable

_TRUE = {"1", "t", "T", "true", "TRUE", "True"}  # Go's strconv.ParseBool
_UNVERIFIED = "irkit shows its token and new values only to a Vault whose certificate it has verified"


class Token:
    """The token in use, with the client certificate beside it. A `CredentialSource`."""

    def __init__(self, certificate: bytes = b"", key: bytes = b"") -> None:
        self.value = ""
        self._certificate, self._key = certificate, key

    def current(self) -> Credential:
        return Credential(self.value, self._certificate, self._key)

    def renew(self, refused: Credential) -> bool:
        return False


def access(settings: VaultSettings, environ: Mapping[str, str], token: Token) -> Access:
    """The way to the server. The environment comes before the settings. Raises UsageError."""
    if environ.get("VAULT_SKIP_VERIFY", "") in _TRUE:
        # A warning scrolls by at 03:00, and whoever sits in between would have every new value.
        raise UsageError(f"VAULT_SKIP_VERIFY is set: {_UNVERIFIED}", next="unset VAULT_SKIP_VERIFY and name its authority in VAULT_CACERT")
    endpoint = _endpoint(environ.get("VAULT_ADDR") or settings.address)
    file = environ.get("VAULT_CACERT") or settings.ca_cert
    trust = Trust(contents(Path(file), "VAULT_CACERT") if file else b"", environ.get("VAULT_TLS_SERVER_NAME", ""))
    namespace = (environ.get("VAULT_NAMESPACE") or settings.namespace).strip("/")
    if not (namespace.isascii() and namespace.isprintable()):
        raise UsageError("VAULT_NAMESPACE has characters that no header may have")
    proxy = proxies.from_environment(endpoint, environ)
    try:
        if proxy:
            proxies.parsed(proxy, "HTTPS_PROXY")
        if endpoint.tls:
            tls.context(trust, token.current(), f"VAULT_CACERT {printable(file)}" if file else "Vault")
    except KubeconfigError as error:
        raise UsageError(error.message) from None
    headers = (("X-Vault-Request", "true"), *((("X-Vault-Namespace", namespace),) if namespace else ()))
    shown = f"{endpoint.url} (namespace {namespace})" if namespace else endpoint.url
    source: CredentialSource = token
    return Access(About("Vault", shown, namespace, ""), endpoint, trust, source, proxy, headers)


def client_certificate(environ: Mapping[str, str]) -> Token:
    """A token still to come, with the certificate of ``VAULT_CLIENT_CERT`` and ``VAULT_CLIENT_KEY`` where they are set."""
    pair = [environ.get(name, "") for name in ("VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY")]
    if not any(pair):
        return Token()
    if not all(pair):
        raise UsageError("VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together; one of them is not set")
    return Token(contents(Path(pair[0]), "VAULT_CLIENT_CERT"), contents(Path(pair[1]), "VAULT_CLIENT_KEY"))


def given_token(environ: Mapping[str, str]) -> str:
    """``VAULT_TOKEN``, else what `vault login` keeps in ``~/.vault-token``. Raises UsageError."""
    if environ.get("VAULT_TOKEN"):
        return clean(environ["VAULT_TOKEN"], "VAULT_TOKEN")
    file = Path(environ.get("HOME") or Path.home()) / ".vault-token"
    if not file.exists():
        raise UsageError("no Vault token: VAULT_TOKEN is not set and there is no ~/.vault-token", next="vault login, or vault.auth in the settings")
    return clean(contents(file, "~/.vault-token").decode("ascii", "replace"), "~/.vault-token")


def clean(token: str, where: str) -> str:
    """The token without white space around it. Raises UsageError where no header can carry it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{where} holds no Vault token", next="vault login")
    return token


def contents(path: Path, what: str) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"{what}: {printable(path)} can't be read: {error.strerror}") from None


def _endpoint(address: str) -> Endpoint:
    if not address:
        raise UsageError("there is no Vault: VAULT_ADDR is not set, and neither is vault.address in the settings",
                         next="export VAULT_ADDR=https://vault.example:8200")  # fmt: skip
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        raise UsageError("VAULT_ADDR is no URL") from None
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.username is not None:
        raise UsageError("VAULT_ADDR must be a URL as https://vault.example:8200")
    if url.scheme == "http" and not _loopback(url.hostname):
        raise UsageError(f"VAULT_ADDR {printable(address)} is without TLS: {_UNVERIFIED}",
                         next="use https://, or a tunnel to 127.0.0.1 (kubectl port-forward)")  # fmt: skip
    return Endpoint(url.scheme == "https", url.hostname, port or (443 if url.scheme == "https" else 80), quote(url.path.rstrip("/")))


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
