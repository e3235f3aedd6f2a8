"""Who may come in: a login page, and sessions in a signed cookie that ends after twelve hours.

ASGI middleware in front of the whole site. Sessions are signed by itsdangerous with a key of this process, so they end
with the server, when the password is changed, or when the user's line leaves the users file.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from http.cookies import CookieError, SimpleCookie
from secrets import token_bytes
from typing import Any
from urllib.parse import parse_qs

from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from ui.web.templating import render, static
from ui.web.users import Users

COOKIE = "glossator_session"
SESSION_SECONDS = 12 * 3600
MOST_BODY = 8192  # bytes of a login form
MOST_FAILURES, WINDOW_SECONDS = 10, 600.0  # of one address, before it has to wait
MOST_ADDRESSES = 4096  # that are remembered


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


class Login:
    """ASGI: nothing behind it answers without a session. /login shows and takes the form, /logout ends the session."""

    def __init__(self, app: Any, users: Users, session_seconds: int = SESSION_SECONDS):
        self._app = app
        self._users = users
        self._sessions = Sessions(users, session_seconds)
        self._failures = Failures()
        self._checking = asyncio.Semaphore(2)  # a hash takes 64 MiB while it is computed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = await self._reply(scope, receive)
        await (reply or self._app)(scope, receive, send)

    async def _reply(self, scope: Any, receive: Any) -> Response | None:
        """What is answered here; None: the request goes on to the page."""
        path, method = scope["path"], scope["method"]
        if path == "/login":
            return await self._log_in(scope, receive) if method == "POST" else HTMLResponse(login_page())
        if path == "/logout" and method == "POST":
            reply = RedirectResponse("/login", 303)
            reply.delete_cookie(COOKIE, path="/")
            return reply
        if user := self._sessions.user(_cookie(scope)):
            scope["glossator_user"] = user
            return None
        if method == "GET" and b"text/html" in _header(scope, b"accept"):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("log in first: /login", 401)

    async def _log_in(self, scope: Any, receive: Any) -> Response:
        address = (scope.get("client") or ("",))[0]
        if wait := self._failures.wait_seconds(address):
            why = f"Too many attempts. Try again in {-(-wait // 60):.0f} minutes."
            return HTMLResponse(login_page(why), 429, {"retry-after": f"{wait:.0f}"})
        form = await _form(receive)
        name, password = (form.get(field, [""])[0] for field in ("name", "password"))
        async with self._checking:
            right = await asyncio.to_thread(self._users.is_right, name, password)
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
