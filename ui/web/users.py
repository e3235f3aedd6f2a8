"""The users file of `serve --users`: one line a user, a name and the argon2id hash of a password.

    ada:$argon2id$v=19$m=65536,t=3,p=4$...

Passwords are hashed by argon2-cffi with its defaults (RFC 9106, low-memory profile): about 50 ms and 64 MiB each.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import argon2
from filelock import FileLock

from rag.errors import RagError, UsageError

NAME = re.compile(r"[\w.@+-]{1,64}")
SHORTEST, LONGEST = 8, 1024  # characters of a password
LARGEST_FILE = 1 << 20  # bytes: some ten thousand users
log = logging.getLogger("glossator")
_HASHER = argon2.PasswordHasher()
_NOBODY = _HASHER.hash(os.urandom(16))  # verified for a name that does not exist, so that both take as long


def read_users(file: Path) -> dict[str, str]:
    """Name -> hash. Raises RagError for a file that is missing, unreadable, or holds a line that is no user."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise RagError(f"{file}: larger than {LARGEST_FILE >> 20} MB. Name a file of users")
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise RagError(f"{file}: no such file. Make it: glossator users add NAME --users {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RagError(f"{file}: cannot be read as users: {error}. Check its name and permissions") from error
    users: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        if not NAME.fullmatch(name) or not hashed.startswith("$argon2"):
            raise RagError(f"{file}, line {number}: not NAME:HASH. Make the line by: glossator users add NAME")
        users[name] = hashed
    return users


def add_user(file: Path, name: str, password: str) -> bool:
    """Add a user, or give one that is there a new password; True if the user is new.

    The file is replaced in one step and readable by its owner alone. Raises UsageError for a name or a password that
    cannot be used, RagError for a file that cannot be read or written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"users add {name!r}: a name is 1 to 64 letters, digits or . @ + - _")
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"the password has {len(password)} characters. Choose one of {SHORTEST} to {LONGEST}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{file.name}.lock")):
            users = read_users(file) if file.exists() else {}
            is_new = name not in users
            _write(file, users | {name: _HASHER.hash(password)})
    except OSError as error:
        raise RagError(f"{file}: cannot be written: {error.strerror}. Choose another --users, or permit it") from error
    return is_new


def _write(file: Path, users: Mapping[str, str]) -> None:
    handle, fresh = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with open(handle, "w", encoding="utf-8") as out:
            out.writelines(f"{name}:{hashed}\n" for name, hashed in users.items())
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh)
        raise


class Users:
    """The users of a file, read again whenever the file has changed. For any thread."""

    def __init__(self, file: Path):
        """Raises RagError as read_users, and for a file without users."""
        self._file = file
        self._lock = threading.Lock()
        self._stamp = _stamp(file)
        self._users = read_users(file)
        if not self._users:
            raise RagError(f"{file}: no users in it. Add one: glossator users add NAME --users {file}")

    def current(self) -> Mapping[str, str]:
        """Name -> hash, as of now; empty while the file is missing or broken, so that nobody comes in."""
        with self._lock:
            if (stamp := _stamp(self._file)) != self._stamp:
                self._stamp = stamp
                try:
                    self._users = read_users(self._file)
                except RagError as error:
                    log.warning("%s. Nobody can log in until then", error)
                    self._users = {}
            return self._users

    def is_right(self, name: str, password: str) -> bool:
        """Whether the password is the user's; takes as long for a name that does not exist."""
        hashed = self.current().get(name)
        try:
            return _HASHER.verify(hashed or _NOBODY, password[:LONGEST]) and hashed is not None
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def fingerprint(self, name: str) -> str | None:
        """What changes with a user's password, to be kept in a session; None for a name that does not exist."""
        hashed = self.current().get(name)
        return hashlib.sha256(hashed.encode()).hexdigest()[:16] if hashed else None


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None while there is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
