"""The users file of `serve --users`: one line a user, a name and the argon2id hash of a password.

    ada:$argon2id$v=19$m=65536,t=3,p=4$...:admin

An admin may also change settings and read the audit log. Passwords are hashed by argon2-cffi with its defaults
(RFC 9106, low-memory profile): about 50 ms and 64 MiB each.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import argon2
from filelock import FileLock

from rag.errors import RagError, UsageError
from ui.web.access.identity import Identity

T = TypeVar("T")
NAME = re.compile(r"[\w.@+-]{1,64}")
SHORTEST, LONGEST = 8, 1024  # characters of a password
LARGEST_FILE = 1 << 20  # bytes: some ten thousand users
ADMIN = ":admin"  # at the end of the line of one
log = logging.getLogger("glossator")
_HASHER = argon2.PasswordHasher()
_NOBODY = _HASHER.hash(os.urandom(16))  # verified for a name that does not exist, so that both take as long


@dataclass(frozen=True, slots=True)
class User:
    """A line of the file: the hash of the password, and whether they are an admin."""

    hashed: str
    is_admin: bool = False

    def line(self, name: str) -> str:
        return f"{name}:{self.hashed}{ADMIN if self.is_admin else ''}"


def read_users(file: Path) -> dict[str, User]:
    """Name -> user. Raises RagError for a file that is missing, unreadable, or holds a line that is no user."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise RagError(f"{file}: larger than {LARGEST_FILE >> 20} MB. Name a file of users")
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise RagError(f"{file}: no such file. Make it: glossator users add NAME --users {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RagError(f"{file}: cannot be read as users: {error}. Check its name and permissions") from error
    users: dict[str, User] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.strip().partition(":")
        hashed = rest.removesuffix(ADMIN)
        if not NAME.fullmatch(name) or not hashed.startswith("$argon2"):
            raise RagError(f"{file}, line {number}: not NAME:HASH. Make the line by: glossator users add NAME")
        users[name] = User(hashed, rest.endswith(ADMIN))
    return users


def add_user(file: Path, name: str, password: str, is_admin: bool = False) -> bool:
    """Add a user, or give one that is there a new password; True if the user is new. An admin stays one.

    Raises UsageError for a name or a password that cannot be used, RagError as read_users and replace_lines.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"users add {name!r}: a name is 1 to 64 letters, digits or . @ + - _")
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"the password has {len(password)} characters. Choose one of {SHORTEST} to {LONGEST}")
    hashed, before = _HASHER.hash(password), list[User]()

    def lines() -> list[str]:
        users = read_users(file) if file.exists() else {}
        before.extend([users[name]] if name in users else [])
        users[name] = User(hashed, is_admin or any(user.is_admin for user in before))
        return [user.line(each) for each, user in users.items()]

    replace_lines(file, lines)
    return not before


def replace_lines(file: Path, lines: Callable[[], Sequence[str]]) -> None:
    """Write a file anew, in one step, readable by its owner alone; one process at a time makes its `lines`.

    Raises RagError for a file that cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock")):
            _write(file, lines())
    except OSError as error:
        raise RagError(f"{file}: cannot be written: {error.strerror}. Choose another --users, or permit it") from error


def _write(file: Path, lines: Sequence[str]) -> None:
    handle, fresh = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with open(handle, "w", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in lines)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise


class WatchedFile(Generic[T]):
    """What a file holds, read again whenever it has changed; `nothing` while it is broken. For any thread."""

    def __init__(self, file: Path, read: Callable[[Path], T], nothing: T):
        """Raises RagError as `read`."""
        self._file, self._read, self._nothing = file, read, nothing
        self._lock = threading.Lock()
        self._stamp = _stamp(file)
        self._content = read(file)

    def current(self) -> T:
        with self._lock:
            if (stamp := _stamp(self._file)) != self._stamp:
                self._stamp = stamp
                try:
                    self._content = self._read(self._file)
                except RagError as error:
                    log.warning("%s. Nobody comes in by it until then", error)
                    self._content = self._nothing
            return self._content


class Users:
    """The users of a file, as it is now: while it is missing or broken nobody comes in. For any thread."""

    def __init__(self, file: Path):
        """Raises RagError as read_users, and for a file without users."""
        self._file: WatchedFile[dict[str, User]] = WatchedFile(file, read_users, {})
        if not self._file.current():
            raise RagError(f"{file}: no users in it. Add one: glossator users add NAME --users {file}")

    def is_right(self, name: str, password: str) -> bool:
        """Whether the password is the user's; takes as long for a name that does not exist."""
        user = self._file.current().get(name)
        try:
            return _HASHER.verify(user.hashed if user else _NOBODY, password[:LONGEST]) and user is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def identity(self, name: str) -> Identity | None:
        """Who a name is; None for one that does not exist."""
        user = self._file.current().get(name)
        return Identity(name, "admin" if user.is_admin else "write") if user else None

    def fingerprint(self, name: str) -> str | None:
        """What changes with a user's password, to be kept in a session; None for a name that does not exist."""
        user = self._file.current().get(name)
        return hashlib.sha256(user.hashed.encode()).hexdigest()[:16] if user else None


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None while there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
