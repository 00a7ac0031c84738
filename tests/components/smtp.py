"""A mail server that keeps what it is given: RFC 5321 with STARTTLS (RFC 3207) and AUTH PLAIN and LOGIN (RFC 4954)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import email
import email.message
import email.policy
import socketserver
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.components.serving import certificate, serving


@dataclass(frozen=True)
class Mail:
    """What one DATA brought: the envelope, the bytes, and how they came."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    tls: bool
    user: str | None

    @property
    def message(self) -> email.message.EmailMessage:
        return email.message_from_bytes(self.data, policy=email.policy.default)


@dataclass
class Mailbox:
    """``login``: who must authenticate, after STARTTLS where there is TLS. ``refuse``: an answer of one's own by verb, such as
    ``{"RCPT": "550 5.1.1 no such user"}``; it may be changed while the server runs."""

    starttls: bool = False
    login: tuple[str, str] | None = None
    refuse: Mapping[str, str] = field(default_factory=dict)
    received: list[Mail] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)  # of all connections, in capitals
    port: int = 0
    ca: Path | None = None

    @property
    def host(self) -> str:
        return "127.0.0.1"


@contextlib.contextmanager
def running(*, starttls: bool = False, login: tuple[str, str] | None = None, refuse: Mapping[str, str] = {}) -> Iterator[Mailbox]:
    """A mail server for the time of a block."""
    box = Mailbox(starttls, login, refuse)
    with contextlib.ExitStack() as stack:
        context, box.ca = stack.enter_context(certificate()) if starttls else (None, None)
        address = stack.enter_context(serving(Server(box, context)))
        box.port = int(address.rpartition(":")[2])
        yield box


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, box: Mailbox, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.box, self.context = box, context


class Session(socketserver.StreamRequestHandler):
    server: Server
    timeout = 20

    def setup(self) -> None:
        super().setup()
        self.tls = False
        self.user: str | None = None
        self.sender: str | None = None
        self.recipients: list[str] = []

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client went away
            self.say("220 irkit.test ESMTP")
            while line := self.rfile.readline(2000):
                verb, _, rest = line.decode("latin-1").strip().partition(" ")
                verb = verb.upper()
                self.server.box.verbs.append(verb)
                if not self.obey(verb, rest):
                    return

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()

    def say(self, *lines: str) -> None:
        self.wfile.write(b"".join(f"{line}\r\n".encode() for line in lines))

    def obey(self, verb: str, rest: str) -> bool:
        """Answer one command. False ends the connection."""
        box = self.server.box
        if answer := box.refuse.get(verb):
            self.say(answer)
            return not answer.startswith("421")
        if verb in ("EHLO", "HELO"):
            self.greet()
        elif verb == "STARTTLS" and self.server.context and not self.tls:
            self.encrypt(self.server.context)
        elif verb == "AUTH" and box.login and (self.tls or not box.starttls):
            self.authenticate(rest)
        elif verb == "MAIL" and box.login and self.user is None:
            self.say("530 5.7.0 Authentication required")
        elif verb == "MAIL" and box.starttls and not self.tls:
            self.say("530 5.7.0 Must issue a STARTTLS command first")
        elif verb == "MAIL":
            self.sender, self.recipients = _address(rest), []
            self.say("250 2.1.0 OK")
        elif verb == "RCPT" and self.sender is not None:
            self.recipients.append(_address(rest))
            self.say("250 2.1.5 OK")
        elif verb == "DATA" and self.recipients:
            self.receive()
        elif verb in ("RSET", "NOOP"):
            self.say("250 2.0.0 OK")
        elif verb == "QUIT":
            self.say("221 2.0.0 Bye")
            return False
        else:
            self.say("503 5.5.1 Bad sequence of commands")
        return True

    def greet(self) -> None:
        extensions = ["irkit.test", "8BITMIME"]
        if self.server.context and not self.tls:
            extensions.append("STARTTLS")
        elif self.server.box.login:
            extensions.append("AUTH PLAIN LOGIN")
        self.say(*(f"250-{e}" for e in extensions), "250 SMTPUTF8")

    def encrypt(self, context: ssl.SSLContext) -> None:
        self.say("220 2.0.0 Ready to start TLS")
        self.connection = self.request = context.wrap_socket(self.connection, server_side=True)
        super().setup()
        self.tls = True

    def authenticate(self, rest: str) -> None:
        method, _, initial = rest.partition(" ")
        try:
            if method.upper() == "PLAIN":
                _, user, password = _decode(initial or self.ask("")).split("\0")
            elif method.upper() == "LOGIN":
                user, password = _decode(initial or self.ask("VXNlcm5hbWU6")), _decode(self.ask("UGFzc3dvcmQ6"))
            else:
                self.say("504 5.5.4 Unrecognized authentication type")
                return
        except (ValueError, binascii.Error):
            self.say("501 5.5.2 Cannot decode")
            return
        if (user, password) == self.server.box.login:
            self.user = user
            self.say("235 2.7.0 Authentication successful")
        else:
            self.say("535 5.7.8 Authentication credentials invalid")

    def ask(self, challenge: str) -> str:
        self.say(f"334 {challenge}")
        return self.rfile.readline(2000).decode("latin-1").strip()

    def receive(self) -> None:
        self.say("354 End data with <CR><LF>.<CR><LF>")
        lines: list[bytes] = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line[1:] if line.startswith(b".") else line)
        box = self.server.box
        box.received.append(Mail(self.sender or "", tuple(self.recipients), b"".join(lines), self.tls, self.user))
        self.sender, self.recipients = None, []
        self.say("250 2.0.0 OK")


def _address(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]


def _decode(text: str) -> str:
    return base64.b64decode(text, validate=True).decode()
