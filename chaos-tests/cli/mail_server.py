"""A real SMTP server for the tests: STARTTLS or TLS, a login, and orders on standard input.

Orders are lines of JSON: {"rcpt": "451 later"} answers so to the next recipient; {"data": "552 too large"} to the next text;
{"hold": "rcpt"} or {"hold": "data"} keeps the next one waiting until {"release": true}. What happens is told on standard output.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

port, mode, certificate, key, user, secret = sys.argv[1:7]


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self):
        self.answers = {}
        self.held = None
        self.released = None

    def order(self, order):
        for step in ("rcpt", "data"):
            if step in order:
                self.answers[step] = order[step]
        if "hold" in order:
            self.held, self.released = order["hold"], asyncio.Event()
        if order.get("release") and self.released:
            self.released.set()
        tell(event="ordered")

    async def wait(self, step):
        if self.held == step:
            self.held = None
            tell(event="held", step=step)
            await self.released.wait()

    async def handle_RCPT(self, server, session, envelope, address, options):
        await self.wait("rcpt")
        answer = self.answers.pop("rcpt", None)
        if answer:
            tell(event="refused", step="rcpt", answer=answer)
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        # It has all of the text: whether the client is still there is no matter to it.
        return await asyncio.shield(asyncio.ensure_future(self.take(session, envelope)))

    async def take(self, session, envelope):
        await self.wait("data")
        answer = self.answers.pop("data", None)
        if answer:
            tell(event="refused", step="data", answer=answer)
            return answer
        text = envelope.content.decode("utf-8", "replace")
        tell(event="accepted", to=envelope.rcpt_tos, by=envelope.mail_from, text=text, tls=session.ssl is not None, login=session.authenticated)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, given):
    fits = given.login == user.encode() and given.password == secret.encode()
    tell(event="login", fits=fits)
    # Not handled: the server says 535 by itself.
    return AuthResult(success=fits, handled=False)


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
handler = Handler()


class Within(Controller):
    """TLS from the first byte on: the server need not ask for it again."""

    def factory(self):
        return SMTP(handler, authenticator=authenticate, auth_required=True, auth_require_tls=False)


if mode == "tls":
    controller = Within(handler, hostname="127.0.0.1", port=int(port), ssl_context=context)
else:
    controller = Controller(handler, hostname="127.0.0.1", port=int(port), tls_context=context, require_starttls=True, authenticator=authenticate, auth_required=True)
controller.start()
tell(event="ready")
for line in sys.stdin:
    controller.loop.call_soon_threadsafe(handler.order, json.loads(line))
controller.stop()
