"""Reads mails with Python's own library, which was written without us, and says what it found, as JSON.

Usage: read_mail.py FILE.eml...

The policy is the strict one: whatever is not as the standards have it ends this with an error.
"""

import email
import email.policy
import hashlib
import json
import sys


def read(path):
    with open(path, "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.strict)
    headers = {name.lower(): str(value) for name, value in mail.items()}
    bodies, attachments = {}, []
    for part in mail.walk():
        assert not part.defects, part.defects
        if part.is_multipart():
            continue
        if part.get_content_disposition() == "attachment":
            content = part.get_content()
            attachments.append(
                {
                    "name": part.get_filename(),
                    "type": part.get_content_type(),
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "bytes": len(content),
                }
            )
        else:
            bodies[part.get_content_type()] = part.get_content()
    return {
        "headers": headers,
        "names": [name.lower() for name in mail.keys()],
        "from": [[one.display_name, one.addr_spec] for one in mail["from"].addresses],
        "to": [one.addr_spec for one in mail["to"].addresses],
        "date": mail["date"].datetime.isoformat(),
        "structure": mail.get_content_type(),
        "bodies": bodies,
        "attachments": attachments,
    }


print(json.dumps([read(path) for path in sys.argv[1:]]))
