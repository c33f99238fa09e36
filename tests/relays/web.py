"""A web server that a relay talks to: python3 web.py KIND [SECRET]

KIND is webhook. It checks every request against what the kind's documentation says, and prints one line of JSON for each:
what was asked, what is wrong with it (nothing, if all is well), and what it responds. It prints its port first.

PUT /script with a list of JSON objects has it respond so to the next requests, in that order: {"status": 500},
{"status": 429, "headers": {"Retry-After": "1"}}, {"hang": 30}, {"close": true}. After them it responds as the documentation says.
"""

import base64
import hashlib
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND = sys.argv[1]
SECRET = sys.argv[2] if len(sys.argv) > 2 else ""

script = []
lock = threading.Lock()


def say(line):
    with lock:
        print(json.dumps(line), flush=True)


def webhook_faults(method, headers, body):
    """Standard Webhooks: the three headers, the signature, and a payload with type, timestamp and data."""
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
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{identity}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if not hmac.compare_digest(expected, headers.get("webhook-signature", "")):
        faults.append("the signature is wrong")
    event = json.loads(body)
    if sorted(event) != ["data", "timestamp", "type"]:
        faults.append(f"the keys are {sorted(event)}")
    if event["type"] not in ("state.changed", "state.current"):
        faults.append(f"the type is {event['type']}")
    return faults


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def respond(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/script":
            script[:] = json.loads(body)
            return self.respond(204)
        answer = script.pop(0) if script else {}
        line = {
            "method": self.command,
            "path": self.path,
            "id": self.headers.get("webhook-id"),
            "faults": webhook_faults(self.command, self.headers, body),
            "body": json.loads(body) if body else None,
            "answer": answer,
        }
        say(line)
        if "hang" in answer:
            time.sleep(answer["hang"])
        if answer.get("close") or "hang" in answer:
            self.close_connection = True
            return self.connection.close()
        status = answer.get("status", 401 if line["faults"] else 204)
        return self.respond(status, headers=answer.get("headers", {}))

    do_GET = do_POST = do_PUT = do_DELETE = serve


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
