"""Who asks, and what they may do: scopes, of which each holds the ones before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

SCOPES = ("read", "write", "admin")
# Requests that change nothing but what is one's own: questions and conversations.
ASKING = (
    "/ask", "/chat/completions", "/responses", "/embeddings", "/precedents", "/conversations", "/turns", "/corrections",
)  # fmt: skip
WRITING = ("/documents", "/uploads", "/evaluation", "/libraries")
ADMIN_READING = ("/v1/audit", "/metrics")
IN_LIBRARY = re.compile(r"/v1(?:/libraries/[^/]+(?=/))?")


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, by the name under which conversations and libraries are theirs, with the widest scope they have.

    `name` is "" where nobody has to log in. `token_id` names the API token that was sent, if one was.
    """

    name: str
    scope: str = "write"
    token_id: str = ""

    def may(self, scope: str) -> bool:
        """Whether what needs this scope is permitted.

        >>> Identity("ada", "write").may("read"), Identity("ada", "write").may("admin")
        (True, False)
        """
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


ANYONE = Identity("", "admin")  # where nobody has to log in


def needed_scope(method: str, path: str) -> str:
    """The scope that a request needs. What is not known needs the widest.

    >>> needed_scope("GET", "/v1/search"), needed_scope("POST", "/v1/libraries/ab12/ask")
    ('read', 'read')
    >>> needed_scope("DELETE", "/v1/documents/1"), needed_scope("PATCH", "/v1/settings")
    ('write', 'admin')
    >>> needed_scope("GET", "/v1/audit"), needed_scope("POST", "/v1/something/new")
    ('admin', 'admin')
    """
    if path.startswith(ADMIN_READING):
        return "admin"
    if method in ("GET", "HEAD", "OPTIONS") or not path.startswith("/v1/"):
        return "read"
    rest = IN_LIBRARY.sub("", path, count=1)
    if rest.startswith(ASKING):
        return "read"
    return "write" if rest.startswith(WRITING) else "admin"
