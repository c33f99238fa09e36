"""Microsoft Graph as its documentation says, for the tenant `contoso.onmicrosoft.com`: tokens, users, and their presence.

It knows the users 100, 101, 102 and ann @contoso.com, each with an object id that ends in a number.
"""

import json
import re
import urllib.parse

CLIENT = "11111111-2222-3333-4444-555555555555"
KNOWN = {"100": "100", "101": "101", "102": "102", "ann": "103"}
TOKEN_PATH = "/contoso.onmicrosoft.com/oauth2/v2.0/token"
SESSIONS = {
    ("Available", "Available"),
    ("Busy", "InACall"),
    ("Busy", "InAConferenceCall"),
    ("Away", "Away"),
    ("DoNotDisturb", "Presenting"),
}
PREFERRED = {
    ("Available", "Available"),
    ("Busy", "Busy"),
    ("DoNotDisturb", "DoNotDisturb"),
    ("BeRightBack", "BeRightBack"),
    ("Away", "Away"),
    ("Offline", "OffWork"),
}


def object_id(number):
    return f"6d1d6e3c-0a3c-4d0a-8f8a-000000000{number}"


def error(code):
    return {"error": {"code": code, "message": "for people", "innerError": {"request-id": "1", "date": "2026-12-01"}}}


def minutes(duration):
    """Of an ISO 8601 duration as Graph takes it; None if it is none."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?", duration)
    return found and int(found[1] or 0) * 60 + int(found[2] or 0)


class Graph:
    """Checks requests, and plays them."""

    def __init__(self, secret):
        self.secret = secret
        self.tokens = 0
        # By object id: what is set, and what people see of it.
        self.people = {object_id(number): {"session": None, "message": "", "preferred": None} for number in KNOWN.values()}
        # What the user's own Teams does, and how many polls a session is still seen after it was cleared.
        self.clients = {}
        self.late = {}

    def serve(self, method, path, headers, body):
        """What is wrong with a request, and the response to it: a status and JSON, or nothing."""
        if path == TOKEN_PATH:
            return self.token(method, headers, body)
        faults = []
        # The last two: of two servers each has one.
        if headers.get("Authorization") not in [f"Bearer token-{number}" for number in (self.tokens - 1, self.tokens) if number > 0]:
            return faults, (401, error("InvalidAuthenticationToken"))
        found = re.fullmatch(r"/v1\.0/users/([^/?]+)\?\$select=id", path)
        if found and method == "GET":
            return faults, self.user(urllib.parse.unquote(found[1]))
        if path == "/v1.0/communications/getPresencesByUserId" and method == "POST":
            return self.presences(headers, json.loads(body))
        found = re.fullmatch(r"/v1\.0/users/([^/?]+)/presence/(\w+)", path)
        action = found and getattr(self, found[2], None)
        if not action or method != "POST":
            return [f"no such resource: {method} {path}"], (400, error("BadRequest"))
        if headers.get("Content-Type") != "application/json":
            faults.append("no JSON")
        person = self.people.get(found[1])
        if person is None:
            return faults, (404, error("NotFound"))
        if found[2] == "clearPresence" and person["session"]:
            self.late[found[1]] = 2
        return action(person, json.loads(body))

    def token(self, method, headers, body):
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        faults = []
        if method != "POST" or headers.get("Content-Type") != "application/x-www-form-urlencoded":
            faults.append("no form")
        if sorted(form) != ["client_id", "client_secret", "grant_type", "scope"]:
            faults.append(f"the keys are {sorted(form)}")
        if form.get("grant_type") != "client_credentials" or not form.get("scope", "").endswith("/.default"):
            faults.append("no client credentials")
        if form.get("client_id") != CLIENT or form.get("client_secret") != self.secret:
            refusal = {"error": "invalid_client", "error_description": "AADSTS7000215", "error_codes": [7000215]}
            return faults, (401, refusal)
        self.tokens += 1
        token = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
        return faults, (200, {**token, "access_token": f"token-{self.tokens}"})

    def user(self, name):
        number = KNOWN.get(name.removesuffix("@contoso.com"))
        if not number:
            return 404, error("Request_ResourceNotFound")
        return 200, {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users(id)/$entity", "id": object_id(number)}

    def presences(self, headers, body):
        faults = [] if sorted(body) == ["ids"] else [f"the body is {body}"]
        if headers.get("Content-Type") != "application/json" or not 1 <= len(body["ids"]) <= 650:
            faults.append("no JSON with 1 to 650 ids")
        return faults, (200, {"value": [self.presence(id) for id in body["ids"] if id in self.people]})

    def presence(self, id):
        person = self.people[id]
        availability, activity = self.clients.get(id, ("Offline", "Offline"))
        if person["session"] or self.late.get(id):
            self.late[id] = self.late.get(id, 0) - (not person["session"])
            availability, activity = "Busy", "InACall"
        if person["preferred"]:
            availability = activity = person["preferred"]
        return {"id": id, "availability": availability, "activity": activity}

    def play(self, clients):
        """The users' own Teams do that from now on: by number, availability and activity."""
        self.clients.update({object_id(number): does for number, does in clients.items()})

    def setPresence(self, person, body):
        faults = []
        if sorted(body) != ["activity", "availability", "expirationDuration", "sessionId"]:
            faults.append(f"the keys are {sorted(body)}")
        if (body["availability"], body["activity"]) not in SESSIONS:
            faults.append("availability and activity do not belong together")
        if not 5 <= (minutes(body["expirationDuration"]) or 0) <= 240:
            faults.append("the duration is not from PT5M to PT4H")
        if body["sessionId"] != CLIENT:
            faults.append("the session is not that of the application")
        person["session"] = body["activity"]
        return faults, (200, None)

    def clearPresence(self, person, body):
        faults = [] if body == {"sessionId": CLIENT} else [f"the body is {body}"]
        had, person["session"] = person["session"], None
        return faults, ((200, None) if had else (404, error("NotFound")))

    def setStatusMessage(self, person, body):
        message = body.get("statusMessage", {}).get("message", {})
        faults = []
        if sorted(body) != ["statusMessage"] or sorted(body["statusMessage"]) != ["message"]:
            faults.append(f"the body is {body}")
        if sorted(message) != ["content", "contentType"] or message["contentType"] != "text":
            faults.append(f"the message is {message}")
        person["message"] = message.get("content")
        return faults, (200, None)

    def setUserPreferredPresence(self, person, body):
        faults = []
        if sorted(body) != ["activity", "availability", "expirationDuration"]:
            faults.append(f"the keys are {sorted(body)}")
        if (body["availability"], body["activity"]) not in PREFERRED:
            faults.append("availability and activity do not belong together")
        if not minutes(body["expirationDuration"]):
            faults.append("no duration")
        person["preferred"] = body["availability"]
        return faults, (200, None)

    def clearUserPreferredPresence(self, person, body):
        person["preferred"] = None
        return ([] if body == {} else [f"the body is {body}"]), (200, None)

    def shows(self, path):
        """What people see of the user of a request."""
        found = re.match(r"/v1\.0/users/([^/?]+)/", path)
        return found and self.people.get(found[1])
