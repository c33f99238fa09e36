"""A web server that a relay talks to: python3 web.py KIND SECRET [PORT] [CERTIFICATE]

KIND is webhook, teams or slack. It checks every request against what the kind's documentation says, and prints one line of JSON for each:
what was asked, what is wrong with it (nothing, if all is well), and what it responds. It prints its port first. With a file that
holds a certificate and its key it serves HTTPS.

PUT /script with a list of JSON objects has it respond so to the next requests, in that order: {"status": 500},
{"status": 429, "headers": {"Retry-After": "1"}}, {"hang": 30}, {"close": true}. One with "path" is for a request whose path
contains that; others are answered meanwhile. Without them it responds as the documentation says. PUT /people tells teams what users
do there: {"100": ["Busy", "InACall"]}; slack, which status they choose: {"U100AAAA": "On holiday"}.
"""

import base64
import hashlib
import hmac
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from graph import Graph
from slack import Slack

KIND, SECRET = sys.argv[1:3]
PORT = int(sys.argv[3]) if len(sys.argv) > 3 else 0

script = []
lock = threading.Lock()


class Webhook:
    """Standard Webhooks: the three headers, the signature, and a payload with type, timestamp and data."""

    def __init__(self, secret):
        self.key = base64.b64decode(secret.removeprefix("whsec_"))

    def serve(self, method, path, headers, body):
        faults = self.faults(method, headers, body)
        return faults, (401 if faults else 204, None)

    def faults(self, method, headers, body):
        faults = []
        if method != "POST":
            faults.append(f"{method} instead of POST")
        if headers.get("Content-Type") != "application/json":
            faults.append("no JSON")
        identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not identity.startswith("msg_"):
            faults.append("webhook-id does not begin with msg_")
        if not timestamp.isdigit() or abs(int(timestamp) - time.time()) > 300:
            faults.append("webhook-timestamp is not about now")
        signed = f"{identity}.{timestamp}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(self.key, signed, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(expected, headers.get("webhook-signature", "")):
            faults.append("the signature is wrong")
        event = json.loads(body)
        if sorted(event) != ["data", "timestamp", "type"]:
            faults.append(f"the keys are {sorted(event)}")
        if event["type"] not in ("state.changed", "state.current"):
            faults.append(f"the type is {event['type']}")
        return faults

    def shows(self, path):
        return None


kind = {"webhook": Webhook, "teams": Graph, "slack": Slack}[KIND](SECRET)


def scripted(path):
    """The next answer of the script, if it is for this request."""
    if script and script[0].get("path", "") in path:
        return script.pop(0)
    return {}


def json_of(body):
    try:
        return json.loads(body)
    except ValueError:
        return body.decode() or None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def respond(self, status, body=None, headers=()):
        body = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/script":
            with lock:
                script[:] = json.loads(body)
            return self.respond(204)
        if self.path == "/people":
            with lock:
                kind.play(json.loads(body))
            return self.respond(204)
        with lock:
            answer = scripted(self.path)
            faults, (status, response) = [], (answer.get("status"), answer.get("body"))
            if not answer or KIND == "webhook":
                faults, (usual, _) = served = kind.serve(self.command, self.path, self.headers, body)
                status, response = (status or usual, response) if answer else served[1]
            line = {
                "method": self.command,
                "path": self.path,
                "id": self.headers.get("webhook-id"),
                "faults": faults,
                "body": json_of(body),
                "answer": answer,
                "status": status,
                "shows": kind.shows(self.path),
            }
            print(json.dumps(line), flush=True)
        if "hang" in answer:
            time.sleep(answer["hang"])
        if answer.get("close") or "hang" in answer:
            self.close_connection = True
            return self.connection.close()
        return self.respond(status, response, answer.get("headers", {}))

    do_GET = do_POST = do_PUT = do_DELETE = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", PORT), Handler)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
