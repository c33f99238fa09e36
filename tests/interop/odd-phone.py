#!/usr/bin/env python3
"""A phone with odd habits, against a real server. Ends with 0 when the server bears them.

odd-phone.py PORT listens-elsewhere   sends from one port and listens on another, without rport (RFC 3261 §18.2.2)
odd-phone.py PORT damaged-responses   its 200s to NOTIFYs are damaged on their way, over UDP and TCP
"""

import re
import socket
import sys

HOST = "127.0.0.1"
SECONDS = 5
# Longer than the first two repetitions of a NOTIFY take (Timer E).
SILENCE = 2


def udp():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOST, 0))
    made.settimeout(SECONDS)
    return made


def port_of(made):
    return made.getsockname()[1]


def request(method, number, via, contact=None, more=""):
    call = f"{via.rsplit('=', 1)[1]}@odd-phone"
    contact = f"Contact: <{contact}>\r\n" if contact else ""
    return (
        f"{method} sip:bob@{HOST} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:odd@{HOST}>;tag=o\r\n"
        f"To: <sip:bob@{HOST}>\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n{contact}{more}Content-Length: 0\r\n\r\n"
    ).encode()


def header(message, name):
    return re.search(rf"^{name}: (.*)\r$", message, re.MULTILINE)[1]


def expect(condition, what):
    if not condition:
        sys.exit(f"FAIL {what}")


def listens_elsewhere(server):
    speaks, listens = udp(), udp()
    via = f"SIP/2.0/UDP {HOST}:{port_of(listens)};branch=z9hG4bK"

    def hears(start, what):
        message = listens.recv(65536).decode()
        expect(message.startswith(start), f"{what}: {message}")
        return message

    options = request("OPTIONS", 1, via + "elsewhere1")
    speaks.sendto(options, server)
    hears("SIP/2.0 200 ", "the response to OPTIONS")
    speaks.sendto(request("REGISTER", 1, via + "elsewhere2"), server)
    hears("SIP/2.0 ", "the response to REGISTER")
    contact = f"sip:odd@{HOST}:{port_of(listens)}"
    subscribe = request("SUBSCRIBE", 1, via + "elsewhere3", contact, "Event: dialog\r\nExpires: 0\r\n")
    speaks.sendto(subscribe, server)
    hears("SIP/2.0 200 ", "the response to SUBSCRIBE")
    notify = hears("NOTIFY ", "the NOTIFY")
    speaks.sendto(ok(notify), server)
    speaks.sendto(subscribe, server)
    hears("SIP/2.0 200 ", "the response to SUBSCRIBE, sent again")
    speaks.settimeout(0.2)
    try:
        expect(False, f"where it speaks: {speaks.recv(65536).decode()}")
    except TimeoutError:
        pass


def ok(notify, more="", end="Content-Length: 0\r\n"):
    names = ("Via", "From", "To", "Call-ID", "CSeq")
    echoed = "".join(f"{name}: {header(notify, name)}\r\n" for name in names)
    return f"SIP/2.0 200 OK\r\n{echoed}{more}{end}\r\n".encode()


# What is added to a 200, and how its head ends.
SPOILT = [
    ("", "Content-Length: 0\r\nContent-Length: 0\r\n"),
    ("CSeq: {CSeq}\r\n", "Content-Length: 0\r\n"),
    ("Expires: 60\r\nExpires: 3600\r\nThis is no header\r\n", "l: 0\r\n"),
    ("Contact: <sip:odd@@>\r\nContact: *\r\n", "Content-Length: 0\r\n"),
]
SPOILT_UDP = [("", "Content-Length: 99\r\n"), ("", "Content-Length: none\r\n")]


def is_taken(notify, spoilt, send, receive):
    more, end = spoilt
    send(ok(notify, more.replace("{CSeq}", header(notify, "CSeq")), end))
    try:
        return receive(SILENCE) is None
    except TimeoutError:
        return True


def damaged_responses(server):
    phone = udp()
    via = f"SIP/2.0/UDP {HOST}:{port_of(phone)};rport;branch=z9hG4bK"

    def receive(seconds=SECONDS):
        phone.settimeout(seconds)
        return phone.recv(65536).decode()

    def send(octets):
        phone.sendto(octets, server)

    for number, spoilt in enumerate(SPOILT + SPOILT_UDP):
        contact = f"sip:odd@{HOST}:{port_of(phone)}"
        send(request("SUBSCRIBE", 1, f"{via}spoilt{number}", contact, "Event: dialog\r\nExpires: 0\r\n"))
        expect(receive().startswith("SIP/2.0 200 "), "the response to SUBSCRIBE")
        notify = receive()
        expect(notify.startswith("NOTIFY "), f"the NOTIFY: {notify}")
        expect(is_taken(notify, spoilt, send, receive), f"the NOTIFY is sent again after {spoilt}")
    damaged_responses_tcp(server)


def damaged_responses_tcp(server):
    phone = socket.create_connection(server, SECONDS)
    via = f"SIP/2.0/TCP {HOST}:{port_of(phone)};rport;branch=z9hG4bK"
    stream = phone.makefile("rb", newline=None)

    def receive():
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            expect(line, "the server closed the stream")
            head += line
        text = head.decode()
        return text + stream.read(int(header(text, "Content-Length"))).decode()

    contact = f"sip:odd@{HOST}:{port_of(phone)};transport=tcp"
    for number, (more, end) in enumerate(SPOILT):
        phone.sendall(request("SUBSCRIBE", 1, f"{via}stream{number}", contact, "Event: dialog\r\nExpires: 0\r\n"))
        expect(receive().startswith("SIP/2.0 200 "), "the response to SUBSCRIBE")
        notify = receive()
        phone.sendall(ok(notify, more.replace("{CSeq}", header(notify, "CSeq")), end))
    # The stream is in step.
    phone.sendall(request("OPTIONS", 1, f"{via}stream"))
    expect(receive().startswith("SIP/2.0 200 "), "the response to OPTIONS")


if __name__ == "__main__":
    habits = {"listens-elsewhere": listens_elsewhere, "damaged-responses": damaged_responses}
    habits[sys.argv[2]]((HOST, int(sys.argv[1])))
