"""API tokens: a file beside the users' file, with a line a token.

    7f3a9c21:ada:read:2027-02-28:SHA256

Its id, whose it is, its scope, the last day on which it is good, and the hash of its secret, which is 256 random bits:
a fast hash is enough for it. A token as a program sends it: `Authorization: Bearer glo_ID_SECRET`.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rag.errors import RagError, UsageError
from ui.web.access.identity import SCOPES, Identity
from ui.web.access.users import NAME, Users, WatchedFile, replace_lines

MOST_DAYS = 3_650
TOKEN = re.compile(r"glo_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
LINE = re.compile(rf"([0-9a-f]{{8}}):({NAME.pattern}):({'|'.join(SCOPES)}):(\d{{4}}-\d\d-\d\d):([0-9a-f]{{64}})")


@dataclass(frozen=True, slots=True)
class Token:
    """A line of the file. `last_day` is an ISO date."""

    token_id: str
    user: str
    scope: str
    last_day: str
    digest: str

    def line(self) -> str:
        return f"{self.token_id}:{self.user}:{self.scope}:{self.last_day}:{self.digest}"


def tokens_file(users: Path) -> Path:
    """Where the tokens of a file of users stand."""
    return users.with_name(f"{users.name}.tokens")


def read_tokens(file: Path) -> dict[str, Token]:
    """Id -> token; {} without a file. Raises RagError for a line that is none."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise RagError(f"{file}: cannot be read as tokens: {error}. Check its permissions") from error
    tokens: dict[str, Token] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise RagError(f"{file}, line {number}: no token. Delete it, and make one by: glossator users token NAME")
        tokens[match[1]] = Token(*match.groups())
    return tokens


def add_token(users: Path, user: str, scope: str, days: int, today: datetime.date | None = None) -> str:
    """Make a token for a user of the file; the token, which is kept nowhere.

    Raises UsageError for an unknown user or scope and for more than MOST_DAYS, RagError for files that cannot be used.
    """
    if scope not in SCOPES:
        raise UsageError(f"--scope {scope}: choose one of {', '.join(SCOPES)}")
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(f"--days {days}: choose 1 to {MOST_DAYS}")
    known = Users(users).identity(user)
    if known is None:
        raise UsageError(f"{user}: there is no such user in {users}. Add them: glossator users add {user}")
    if not known.may(scope):
        raise UsageError(f"{user} is no admin, so their token cannot be one. Choose another --scope")
    token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    last_day = (today or datetime.date.today()) + datetime.timedelta(days=days)
    new = Token(token_id, user, scope, last_day.isoformat(), digest_of(secret))
    file = tokens_file(users)
    replace_lines(file, lambda: [*(each.line() for each in read_tokens(file).values()), new.line()])
    return f"glo_{token_id}_{secret}"


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Tokens:
    """The tokens of a users file, read again whenever their file has changed. For any thread."""

    def __init__(self, users_file: Path, users: Users):
        self._users = users
        self._file: WatchedFile[Mapping[str, Token]] = WatchedFile(tokens_file(users_file), read_tokens, {})

    def identity(self, token: str) -> Identity | None:
        """Whose token it is, and what it permits; None for one that is wrong, or no longer good."""
        match = TOKEN.fullmatch(token)
        found = self._file.current().get(match[1]) if match else None
        if match is None or found is None or not hmac.compare_digest(found.digest, digest_of(match[2])):
            return None
        user = self._users.identity(found.user)
        if user is None or found.last_day < datetime.date.today().isoformat():
            return None
        return Identity(found.user, min(found.scope, user.scope, key=SCOPES.index), found.token_id)
