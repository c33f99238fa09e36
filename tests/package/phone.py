#!/usr/bin/env python3
"""A phone with one BLF key: subscribes once, with its password, responds to every NOTIFY, and never subscribes again.

phone.py TRANSPORT SERVER PORT DOMAIN USER PASSWORD WATCHED

Prints the status of each response, and for each NOTIFY its CSeq number, its subscription state and the state of the call. Prints
"closed" and exits if the server closes the connection.
"""

import hashlib
import re
import socket
import sys
import time

transport, host, port, domain, user, password, watched = sys.argv[1:]
server = (host, int(port))
target = f"sip:{watched}@{domain}"
kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
wire = socket.socket(socket.AF_INET, kind)
wire.connect(server)
here = "%s:%d" % wire.getsockname()
pending = b""


def receive():
    """The next message: its start line, its headers, its body. Exits if the connection ends."""
    global pending
    while True:
        head, found, rest = pending.partition(b"\r\n\r\n")
        if found:
            lines = head.decode().split("\r\n")
            headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
            length = int(dict((name.lower(), value) for name, value in headers)["content-length"])
            if len(rest) >= length:
                pending = rest[length:]
                return lines[0], headers, rest[:length].decode()
        octets = wire.recv(65536)
        if not octets:
            print("closed", flush=True)
            sys.exit(1)
        pending += octets


def subscribe(number, authorization):
    lines = [
        f"SUBSCRIBE {target} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {here};rport;branch=z9hG4bK-{number}-{here}",
        "Max-Forwards: 70",
        f"From: <sip:{user}@{domain}>;tag=phone",
        f"To: <{target}>",
        f"Call-ID: {here}",
        f"CSeq: {number} SUBSCRIBE",
        f"Contact: <sip:{user}@{here};transport={transport}>",
        "Event: dialog",
        "Accept: application/dialog-info+xml",
        "Expires: 3600",
        *authorization,
        "Content-Length: 0",
    ]
    wire.send("".join(line + "\r\n" for line in [*lines, ""]).encode())


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def authorization(challenge):
    """The Authorization header that answers a WWW-Authenticate."""
    given = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    secret = md5(f"{user}:{given['realm']}:{password}")
    response = md5(f"{secret}:{given['nonce']}:00000001:phone:auth:" + md5(f"SUBSCRIBE:{target}"))
    return (
        f'Authorization: Digest username="{user}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{target}", '
        f'qop=auth, nc=00000001, cnonce="phone", response="{response}"'
    )


subscribe(1, [])
is_authenticated = False
while True:
    start, headers, body = receive()
    value = dict((name.lower(), text) for name, text in headers)
    if start.startswith("SIP/2.0 401") and not is_authenticated:
        is_authenticated = True
        subscribe(2, [authorization(value["www-authenticate"])])
    elif start.startswith("SIP/2.0"):
        print(start.split()[1], flush=True)
    elif start.startswith("NOTIFY"):
        copied = [f"{name}: {text}" for name, text in headers if name.lower() in ("via", "from", "to", "call-id", "cseq")]
        reply = ["SIP/2.0 200 OK", *copied, "Content-Length: 0", ""]
        wire.send("".join(line + "\r\n" for line in reply).encode())
        call = re.search(r"<state>(\w+)", body)
        subscription = value["subscription-state"].split(";")[0]
        print("NOTIFY", value["cseq"].split()[0], subscription, call.group(1) if call else "idle", flush=True)
