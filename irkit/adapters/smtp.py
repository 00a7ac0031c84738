"""One mail by SMTP: submission (RFC 6409) over verified TLS, with AUTH (RFC 4954) by a password from a file."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from irkit.adapters.outgoing import trusting, within
from irkit.errors import UndeliveredError
from irkit.settings.notify import SmtpSettings, loopback
from irkit.text import printable

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage
    from pathlib import Path


def deliver(settings: SmtpSettings, to: str, subject: str, text: str, identifier: str) -> str:
    """Mail ``text`` to the address ``to``; returns which server took it.

    ``identifier`` makes the Message-ID, so that a mail that comes twice is known as one. Raises UndeliveredError. No text of
    the server's gets into an error, which it could have made of what it was sent.
    """
    import smtplib

    server = f"{settings.host}:{settings.port}"
    message = _message(settings, to, subject, text, identifier)
    try:
        with _connected(settings) as client:
            _encrypt(client, settings)
            if settings.user:
                client.login(settings.user, _password(settings.password_file))
            client.send_message(message, settings.sender, [to])
    except smtplib.SMTPAuthenticationError as error:
        raise UndeliveredError(f"{server} refuses the login of {printable(settings.user, 80)} ({error.smtp_code})", down=True) from None
    except smtplib.SMTPRecipientsRefused as error:
        code = next((code for code, _ in error.recipients.values()), 0)
        raise UndeliveredError(f"{server} does not take mail for {printable(to, 120)} ({code})") from None
    except smtplib.SMTPNotSupportedError:
        raise UndeliveredError(f"{server} does not offer what is needed: STARTTLS, a login, or addresses beyond ASCII") from None
    except smtplib.SMTPResponseException as error:
        raise UndeliveredError(f"{server} refuses the mail ({error.smtp_code})") from None
    except ssl.SSLError as error:
        raise UndeliveredError(_tls(server, error), down=True) from None
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        why = "no answer in time" if isinstance(error, TimeoutError) else _reason(error)
        raise UndeliveredError(f"{server}: {why}", down=True) from None
    return f"mailed by {server}"


def _message(settings: SmtpSettings, to: str, subject: str, text: str, identifier: str) -> EmailMessage:
    """Headers are made of printable characters only: no line of somebody else's gets between them (RFC 5322 §2.2)."""
    from email.headerregistry import Address
    from email.message import EmailMessage
    from email.policy import SMTP

    message = EmailMessage(policy=SMTP)
    message["From"] = Address("irkit", addr_spec=settings.sender)
    message["To"] = Address(addr_spec=to)
    message["Subject"] = printable(subject, 200)
    message["Message-ID"] = f"<{identifier}@{settings.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers of holiday notices
    message.set_content("\n".join(printable(line, 2000) for line in text.splitlines()) + "\n")
    return message


@contextmanager
def _connected(settings: SmtpSettings) -> Iterator[smtplib.SMTP]:
    """A connection that ends after ``timeout`` seconds, however slowly the other side goes on speaking."""
    import smtplib

    own = socket.gethostname() or "localhost"  # smtplib would ask the resolver for it, which may be down just now
    client: smtplib.SMTP
    if settings.security == "tls":
        client = smtplib.SMTP_SSL(local_hostname=own, timeout=settings.timeout, context=trusting(settings.ca_file))
    else:
        client = smtplib.SMTP(local_hostname=own, timeout=settings.timeout)
    with within(settings.timeout, lambda: [client.sock]) as late:
        try:
            client._host = settings.host  # type: ignore[attr-defined]  # noqa: SLF001 -- which name the certificate must have; only its constructor sets it
            code, _ = client.connect(settings.host, settings.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, "")
            yield client
            with suppress(smtplib.SMTPException, OSError):  # it was taken: what comes after that says nothing
                client.quit()
        except (smtplib.SMTPException, OSError):
            if late.is_set():
                raise TimeoutError from None
            raise
        finally:
            client.close()


def _encrypt(client: smtplib.SMTP, settings: SmtpSettings) -> None:
    """STARTTLS, or nothing where the settings say that this is the same machine. Never without, where it is not."""
    if settings.security == "starttls":
        client.starttls(context=trusting(settings.ca_file))
    elif settings.security == "none" and not loopback(settings.host):
        raise UndeliveredError(f"{settings.host}: mail leaves this machine encrypted only")


def _password(file: Path | None) -> str:
    assert file is not None, "the settings have a user, so they have its password"
    try:
        return file.expanduser().read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise UndeliveredError(f"the password can't be read from {printable(file)}") from None


def _tls(server: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {server} is not trusted: {printable(error.verify_message, 120)}"
    return f"no TLS with {server}"


def _reason(error: Exception) -> str:
    return printable(error.strerror, 120) if isinstance(error, OSError) and error.strerror else "it ended the conversation"
