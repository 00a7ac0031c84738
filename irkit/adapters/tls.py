"""TLS to an API server, and what its failures mean in words."""

from __future__ import annotations

import os
import ssl
from contextlib import suppress

from irkit.adapters.access import Trust
from irkit.adapters.credentials import Credential
from irkit.errors import IrkitError, KubeconfigError, UnreachableError
from irkit.text import printable

# X509_V_ERR_*, as in OpenSSL's x509_vfy.h
_NOT_YET, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64


def context(trust: Trust, credential: Credential, who: str) -> ssl.SSLContext:
    """A client context. Raises KubeconfigError for a CA or client certificate that is none.

    As Go's TLS does, and so kubectl: every certificate given is an anchor, also one that is no root, and the common name of
    a certificate is not looked at.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.hostname_checks_common_name = False
    if trust.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif trust.authority:
        try:
            made.load_verify_locations(cadata=trust.authority.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            raise KubeconfigError(f"{who}: the certificate authority is not a PEM certificate") from None
    else:
        made.load_default_certs()
    if credential.certificate:
        _present(made, credential, who)
    return made


def _present(made: ssl.SSLContext, credential: Credential, who: str) -> None:
    """Load the client certificate. OpenSSL reads files only, so the key is in one as long as that takes, best in memory."""
    pem = credential.certificate.rstrip() + b"\n" + credential.key.rstrip() + b"\n"
    try:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("irkit", os.MFD_CLOEXEC)
            try:
                _write(descriptor, pem)
                made.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
            finally:
                os.close(descriptor)
        else:
            _through_a_file(made, pem)
    except (ssl.SSLError, ValueError):
        raise KubeconfigError(f"{who}: the client certificate and its key are not a usable PEM pair") from None
    except OSError as error:
        raise KubeconfigError(f"{who}: the client certificate can't be loaded: {error.strerror}") from None


def _through_a_file(made: ssl.SSLContext, pem: bytes) -> None:
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="irkit-")  # mode 0600
    try:
        _write(descriptor, pem)
        made.load_cert_chain(path, password=_no_password)
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - pathlib isn't needed for one call


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _no_password() -> str:
    """Without this, OpenSSL would ask for the password of an encrypted key on the terminal."""
    return ""


def explained(error: ssl.SSLError, server: str, expected: str) -> IrkitError:
    """The sentence for a failed handshake with ``server``, whose certificate should name ``expected``."""
    server, expected = printable(server), printable(expected)
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        if code in (_HOST, _ADDRESS):
            text = f"the certificate of {server} is not for {expected}"
            return UnreachableError(text, next="if you trust it, set tls-server-name in the kubeconfig")
        if code in (_EXPIRED, _NOT_YET):
            return UnreachableError(f"the certificate of {server} {'has expired' if code == _EXPIRED else 'is not valid yet'}")
        return UnreachableError(
            f"the certificate of {server} is from another authority than the kubeconfig's ({printable(error.verify_message)})",
            next="check that the context is the cluster you mean; fetch its kubeconfig anew",
        )
    reason = error.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return UnreachableError(f"{server} does not speak TLS")
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return UnreachableError(f"{server} refuses the client certificate of the kubeconfig ({printable(reason)})", next="fetch the kubeconfig anew")
    return UnreachableError(f"no TLS with {server}: {printable(reason or 'the connection was closed')}")
