"""The Web API of Slack as its documentation says: users.profile.get and users.profile.set.

It knows the users U100AAAA and U101AAAA, and the administrator W102AAAA, whose profile may not be set.
"""

import json
import time
import urllib.parse


class Slack:
    """Checks requests, and plays them."""

    def __init__(self, token):
        self.token = token
        empty = {"status_text": "", "status_emoji": "", "status_expiration": 0}
        self.profiles = {user: {"real_name": user, **empty} for user in ("U100AAAA", "U101AAAA", "W102AAAA")}

    def serve(self, method, path, headers, body):
        """What is wrong with a request, and the response to it: a status and JSON."""
        if headers.get("Authorization") != f"Bearer {self.token}":
            return [], self.refusal("invalid_auth")
        path, _, query = path.partition("?")
        if (method, path) == ("GET", "/api/users.profile.get"):
            return self.get(dict(urllib.parse.parse_qsl(query, strict_parsing=True)))
        if (method, path) == ("POST", "/api/users.profile.set"):
            faults = [] if headers.get("Content-Type", "").startswith("application/json") else ["no JSON"]
            return self.set(json.loads(body), faults)
        return [f"no such method: {method} {path}"], self.refusal("unknown_method")

    def get(self, query):
        faults = [] if sorted(query) == ["user"] else [f"the query is {query}"]
        profile = self.profiles.get(query.get("user"))
        if profile is None:
            return faults, self.refusal("user_not_found")
        return faults, (200, {"ok": True, "profile": profile})

    def set(self, body, faults):
        profile = body.get("profile", {})
        if sorted(body) != ["profile", "user"]:
            faults.append(f"the keys are {sorted(body)}")
        if sorted(profile) != ["status_emoji", "status_expiration", "status_text"]:
            faults.append(f"the profile is {profile}")
        if len(profile["status_text"]) > 100:
            faults.append("the text is too long")
        emoji, ends = profile["status_emoji"], profile["status_expiration"]
        if emoji and not (emoji.startswith(":") and emoji.endswith(":")):
            faults.append(f"the emoji is {emoji}")
        if not isinstance(ends, int) or (ends and ends <= time.time()):
            faults.append(f"the expiration is {ends}")
        if body["user"].startswith("W"):
            return faults, self.refusal("cannot_update_admin_user")
        self.profiles[body["user"]].update(profile)
        return faults, (200, {"ok": True, "profile": self.profiles[body["user"]]})

    def refusal(self, error):
        return 200, {"ok": False, "error": error}

    def play(self, texts):
        """Users choose that status."""
        for user, text in texts.items():
            self.profiles[user].update(status_text=text, status_emoji=":palm_tree:")

    def shows(self, path):
        """What people see of all users."""
        return {user: profile["status_text"] for user, profile in self.profiles.items()}
