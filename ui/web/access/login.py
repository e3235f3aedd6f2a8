"""Who may come in: by a session, an API token, or the header of a proxy that knows them.

ASGI middleware in front of the whole site, where people log in. Sessions are signed by itsdangerous with a key of this
process, so they end with the server, after twelve hours, when the password is changed, or when the user's line leaves
the users file.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from http.cookies import CookieError, SimpleCookie
from secrets import token_bytes
from typing import Any
from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from ui.web.access.api_tokens import Tokens
from ui.web.access.audit import AuditLog
from ui.web.access.identity import Identity, needed_scope
from ui.web.access.rate_limit import RateLimit
from ui.web.access.users import NAME, Users
from ui.web.api.problems import problem
from ui.web.templating import render, static

COOKIE = "glossator_session"
SESSION_SECONDS = 12 * 3600
MOST_BODY = 8192  # bytes of a login form
MOST_FAILURES, WINDOW_SECONDS = 10, 600.0  # of one address, before it has to wait
MOST_ADDRESSES = 4096  # that are remembered
OPEN = ("/health", "/ready")  # which tell nobody anything


class Sessions:
    """Signed names. A session is valid for SESSION_SECONDS, while its user has the password that it began with."""

    def __init__(self, users: Users, seconds: int = SESSION_SECONDS):
        self._users = users
        self.seconds = seconds
        self._signer = URLSafeTimedSerializer(token_bytes(32), salt="glossator session")

    def begin(self, name: str) -> str:
        """The cookie's value."""
        return str(self._signer.dumps([name, self._users.fingerprint(name)]))

    def user(self, value: str) -> str | None:
        """Whose session a cookie is; None if it is none, was tampered with, or has ended."""
        try:
            name, fingerprint = self._signer.loads(value, max_age=self.seconds)
        except (BadSignature, ValueError, TypeError):
            return None
        return str(name) if fingerprint and fingerprint == self._users.fingerprint(name) else None


class Failures:
    """Failed logins by address: after MOST_FAILURES in WINDOW_SECONDS it waits until the oldest is forgotten."""

    def __init__(self) -> None:
        self._times: dict[str, deque[float]] = {}

    def wait_seconds(self, address: str) -> float:
        """How long the address has to wait; 0.0 if it may try."""
        times, now = self._times.get(address, deque()), time.monotonic()
        while times and now - times[0] > WINDOW_SECONDS:
            times.popleft()
        return WINDOW_SECONDS - (now - times[0]) if len(times) >= MOST_FAILURES else 0.0

    def add(self, address: str) -> None:
        if address not in self._times and len(self._times) >= MOST_ADDRESSES:
            self._times.pop(next(iter(self._times)))
        self._times.setdefault(address, deque(maxlen=MOST_FAILURES)).append(time.monotonic())


class Doors:
    """The ways in: sessions and tokens of the users of a file, or a header that a proxy sets.

    Only the proxy can reach a server that believes its header (reach.py), so that nobody else sets it.
    """

    def __init__(self, users: Users | None, tokens: Tokens | None = None, user_header: str = ""):
        self.users, self.tokens, self.user_header = users, tokens, user_header.lower().encode()


class Login:
    """ASGI: nothing behind it answers without an identity, nor what its scope does not permit, nor too often.

    /login shows and takes the form, /logout ends the session.
    """

    def __init__(
        self, app: Any, doors: Doors, limit: RateLimit, audit: AuditLog | None = None,
        session_seconds: int = SESSION_SECONDS,
    ):  # fmt: skip
        self._app, self._doors, self._audit = app, doors, audit
        self._limit = limit
        self._sessions = Sessions(doors.users, session_seconds) if doors.users else None
        self._failures = Failures()
        self._checking = asyncio.Semaphore(2)  # a hash takes 64 MiB while it is computed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = await self._reply(scope, receive)
        await (reply or self._app)(scope, receive, send)

    async def _reply(self, scope: Any, receive: Any) -> Response | None:
        """What is answered here; None: the request goes on."""
        path, method = scope["path"], scope["method"]
        if path in OPEN:
            return None
        if self._sessions and not self._doors.user_header:
            if path == "/login":
                return await self._log_in(scope, receive) if method == "POST" else HTMLResponse(login_page())
            if path == "/logout" and method == "POST":
                reply = RedirectResponse("/login", 303)
                reply.delete_cookie(COOKIE, path="/")
                return reply
        who = self._identity(scope)
        if who is None:
            return self._unknown(scope)
        if not who.may(needed_scope(method, path)):
            return problem(403, f"this needs the scope {needed_scope(method, path)}; yours is {who.scope}")
        if wait := self._limit.wait_seconds(who.name, method, path):
            seconds = {"retry-after": str(math.ceil(wait))}
            return problem(429, f"that was too often. Ask again in {math.ceil(wait)} s", headers=seconds)
        scope["glossator_identity"] = who
        return None

    def _identity(self, scope: Any) -> Identity | None:
        """Who asks; None where nobody is known to."""
        doors = self._doors
        kind, _, token = _header(scope, b"authorization").decode("latin-1").partition(" ")
        if kind.lower() == "bearer" and doors.tokens:
            return doors.tokens.identity(token.strip())
        if doors.user_header:
            name = _header(scope, doors.user_header).decode("latin-1").strip()
            if not NAME.fullmatch(name):
                return None
            return (doors.users.identity(name) if doors.users else None) or Identity(name)
        user = self._sessions.user(_cookie(scope)) if self._sessions else None
        return doors.users.identity(user) if user and doors.users else None

    def _unknown(self, scope: Any) -> Response:
        if self._doors.user_header:
            name = self._doors.user_header.decode()
            return problem(401, f"the proxy did not say who asks, in the header {name}")
        if _header(scope, b"authorization"):
            refused = {"www-authenticate": 'Bearer error="invalid_token"'}
            return problem(
                401, "this token is wrong, or no longer good. Make one: glossator users token", headers=refused
            )
        if scope["method"] == "GET" and b"text/html" in _header(scope, b"accept"):
            return RedirectResponse("/login", 303)
        return problem(401, "log in first: /login, or send a token", headers={"www-authenticate": "Bearer"})

    async def _log_in(self, scope: Any, receive: Any) -> Response:
        assert self._sessions and self._doors.users
        address = (scope.get("client") or ("",))[0]
        if wait := self._failures.wait_seconds(address):
            why = f"Too many attempts. Try again in {-(-wait // 60):.0f} minutes."
            return HTMLResponse(login_page(why), 429, {"retry-after": f"{wait:.0f}"})
        form = await _form(receive)
        name, password = (form.get(field, [""])[0] for field in ("name", "password"))
        async with self._checking:
            right = await asyncio.to_thread(self._doors.users.is_right, name, password)
        if self._audit:
            self._audit.add(name[:64], "logged in" if right else "failed to log in", address=address)
        if not right:
            self._failures.add(address)
            return HTMLResponse(login_page("That name and password do not go together.", name), 401)
        reply = RedirectResponse("/", 303)
        reply.set_cookie(
            COOKIE,
            self._sessions.begin(name),
            max_age=self._sessions.seconds,
            httponly=True,
            samesite="lax",
            secure=scope["scheme"] == "https",
        )
        return reply


def _header(scope: Any, name: bytes) -> bytes:
    return next((bytes(value) for key, value in scope["headers"] if key == name), b"")


def _cookie(scope: Any) -> str:
    try:
        found = SimpleCookie(_header(scope, b"cookie").decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _form(receive: Any) -> dict[str, list[str]]:
    """The fields of a form that was sent; none of one that is larger than a login."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BODY or message["type"] != "http.request":
            return {}
        if not message.get("more_body"):
            try:
                return parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
            except ValueError:  # more fields than that
                return {}


def login_page(problem: str = "", name: str = "") -> str:
    """The login page's HTML: nothing in it comes from elsewhere, no script."""
    return render("login.html", style=static("login.css"), problem=problem, name=name)
