"""A mail server that others wrote (aiosmtpd, Debian's python3-aiosmtpd), with TLS and passwords, which keeps every mail.

Usage: foreign_smtp.py starttls|implicit PLAIN|LOGIN CERTIFICATE KEY FOLDER

It knows that one way to sign in and takes no mail without. Its port is the first line that it prints. A mail is kept as
FOLDER/N.eml, as it came, once FOLDER/N.json holds its envelope. It takes no mail of more than 200,000 bytes, as it announces,
and nobody called gone@….
"""

import asyncio
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

tls, mechanism, certificate, key, folder = sys.argv[1:]
LARGEST = 200_000
ACCOUNT = (b"caisse@dupont.example", b"password-of-the-tests")


class Keeper:
    kept = 0

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("gone@"):
            return "550 5.1.1 nobody of that name here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 taken"

    async def handle_DATA(self, server, session, envelope):
        facts = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "hello": session.host_name,
            "encrypted": session.ssl is not None,
            "signed_in": session.auth_data is not None,
        }
        self.kept += 1
        place = pathlib.Path(folder)
        (place / f"{self.kept}.json").write_text(json.dumps(facts))
        (place / "half").write_bytes(envelope.original_content)
        (place / "half").rename(place / f"{self.kept}.eml")
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, name, data):
    right = name == mechanism and (data.login, data.password) == ACCOUNT
    return AuthResult(success=right, handled=False, auth_data=data if right else None)


async def serve():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    options = {
        "hostname": "mail.test",
        "auth_required": True,
        # Where all is encrypted from the first byte, aiosmtpd does not see it.
        "auth_require_tls": tls == "starttls",
        "auth_exclude_mechanism": [{"PLAIN": "LOGIN", "LOGIN": "PLAIN"}[mechanism]],
        "authenticator": authenticate,
        "data_size_limit": LARGEST,
    }
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    keeper = Keeper()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, **options), "127.0.0.1", 0, ssl=context if tls == "implicit" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    # It ends with the test, whose end of the pipe is then closed.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
