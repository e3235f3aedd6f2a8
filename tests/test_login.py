"""ui/web/access/: who may come in, for how long, and what an attacker who is not let in meets."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rag.errors import RagError, UsageError
from rag.library.catalogue import Library
from tests.conftest import Run, needs_browser
from tests.pages import Endpoint, Site, replies
from ui.web.access import login, users
from ui.web.access.login import COOKIE, Failures, Sessions
from ui.web.access.users import Users, add_user, read_users

WORD, OTHER = "a long enough word", "another long word"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("people") / "users"
    add_user(file, "ada", WORD)
    add_user(file, "bob", OTHER)
    return file


# -- the file ------------------------------------------------------------------------------------------------------


def test_the_command_makes_a_line_a_user_that_only_the_owner_reads(tmp_path: Path, glossator: Run) -> None:
    import subprocess

    from tests.conftest import command

    file = tmp_path / "folder" / "users"
    for name, word in (("ada", WORD), ("bob@example.org", OTHER), ("ada", OTHER)):
        add = command("users", "add", name, "--users", file)
        done = subprocess.run(add, input=f"{word}\n", capture_output=True, text=True)
        assert done.returncode == 0 and str(file) in done.stdout and word not in done.stdout + done.stderr
    assert [line.partition(":")[0] for line in file.read_text().splitlines()] == ["ada", "bob@example.org"]
    assert all(user.hashed.startswith("$argon2id$") for user in read_users(file).values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in file.parent.iterdir()) in (["users"], [".users.lock", "users"])
    assert Users(file).is_right("ada", OTHER) and not Users(file).is_right("ada", WORD)


@pytest.mark.parametrize(
    ("name", "word"),
    [("", WORD), ("a:b", WORD), ("a\nb", WORD), ("a" * 65, WORD), ("ada", "short"), ("ada", "a" * 2000)],
)
def test_what_cannot_be_a_user_is_said_and_written_nowhere(tmp_path: Path, name: str, word: str) -> None:
    with pytest.raises(UsageError):
        add_user(tmp_path / "users", name, word)
    assert not (tmp_path / "users").exists()


@pytest.mark.parametrize("content", ["ada", "ada:plain password", "a b:$argon2id$x", ":$argon2id$x", b"\xff\xfe:"])
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "users"
    file.write_bytes(content if isinstance(content, bytes) else f"# people\n\n{content}\n".encode())
    with pytest.raises(RagError, match=r"users, line 3|users: cannot be read"):
        Users(file)
    with pytest.raises(RagError, match="no such file"):
        Users(tmp_path / "none")
    file.write_text("# nobody\n")
    with pytest.raises(RagError, match="no users"):
        Users(file)


def test_a_name_that_does_not_exist_takes_as_long_as_a_wrong_password(people: Path) -> None:
    def seconds(name: str) -> float:
        began = time.process_time()
        assert not known.is_right(name, "wrong")
        return time.process_time() - began

    known = Users(people)
    pairs = [(seconds("ada"), seconds("nobody")) for _ in range(3)]
    assert min(there for there, _ in pairs) < 3 * min(none for _, none in pairs)
    assert min(none for _, none in pairs) < 3 * min(there for there, _ in pairs)


# -- sessions ------------------------------------------------------------------------------------------------------


def test_a_session_ends_with_its_time_its_password_and_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users"
    add_user(file, "ada", WORD)
    known = Users(file)
    sessions = Sessions(known, seconds=100)
    value = sessions.begin("ada")
    assert sessions.user(value) == "ada"
    for forged in (value[:-1], f"{value}x", f"x{value}", "", "a.b.c", value.swapcase(), "\x00", "é"):
        assert sessions.user(forged) is None
    assert Sessions(known, seconds=100).user(value) is None, "another server has another key"
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 102)
    assert sessions.user(value) is None
    monkeypatch.undo()
    assert sessions.user(value) == "ada"
    add_user(file, "ada", OTHER)
    assert sessions.user(value) is None
    value = sessions.begin("ada")
    file.write_text(file.read_text().replace("ada:", "eve:"))
    assert sessions.user(value) is None
    file.unlink()
    assert sessions.user(value) is None and not known.is_right("eve", OTHER)


def test_after_ten_failures_an_address_waits_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = Failures()
    for _ in range(login.MOST_FAILURES):
        assert failures.wait_seconds("a") == 0
        failures.add("a")
    assert 0 < failures.wait_seconds("a") <= login.WINDOW_SECONDS and failures.wait_seconds("b") == 0
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + login.WINDOW_SECONDS + 1)
    assert failures.wait_seconds("a") == 0
    for number in range(login.MOST_ADDRESSES + 9):
        failures.add(f"address {number}")
    assert len(failures._times) <= login.MOST_ADDRESSES


# -- the server ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("login")
    Library.open(folder / "library", create=True)
    with Endpoint(replies({})) as reader:
        site = Site(folder / "library", folder / "log", reader, options=["--users", people, "--host", "0.0.0.0"])
        yield site
        site.interrupt()


def sign_in(site: Site, name: str, word: str) -> httpx.Response:
    return httpx.post(f"{site.address}/login", data={"name": name, "password": word}, timeout=30)


@pytest.mark.attack
@pytest.mark.timeout(120)
def test_nothing_is_there_for_who_has_not_logged_in(site: Site) -> None:
    assert "no login" not in site.log.read_text()
    page = httpx.get(site.address, headers={"accept": "text/html"})
    assert page.status_code == 303 and page.headers["location"] == "/login"
    routes = [
        "/config", "/v1/documents", "/v1/documents/1/pages/1.png", "/v1/conversations", "/gradio_api/queue/data",
        "/theme.css", "//", "/login/x",
    ]  # fmt: skip
    for cookie in ("", f"{COOKIE}=made.up.value", f"{COOKIE}=", "=;;; " + COOKIE):
        for route in routes:
            assert httpx.get(f"{site.address}{route}", headers={"cookie": cookie}).status_code == 401, route
        for route in ("/gradio_api/queue/join", "/v1/conversations", "/v1/documents", "/gradio_api/cancel"):
            assert httpx.post(f"{site.address}{route}", json={}, headers={"cookie": cookie}).status_code == 401
    wrong = [sign_in(site, "ada", OTHER), sign_in(site, "eve", WORD), sign_in(site, "ada", ""), sign_in(site, "", "")]
    for reply in wrong:
        assert reply.status_code == 401 and "set-cookie" not in reply.headers
        assert "do not go together" in reply.text and WORD not in reply.text
    script = sign_in(site, '"><script>alert(1)</script>', "x" * 9)
    assert "<script>" not in script.text
    assert httpx.post(f"{site.address}/login", content=b"x" * 100_000).status_code == 401
    right = sign_in(site, "ada", WORD)
    assert right.status_code == 303 and right.headers["location"] == "/"
    assert {"httponly", "samesite=lax"} <= set(right.headers["set-cookie"].lower().split("; "))
    session = {"cookie": right.headers["set-cookie"].partition(";")[0]}
    assert httpx.get(f"{site.address}/config", headers=session).status_code == 200
    assert httpx.get(f"{site.address}/config", headers=session | {"host": "evil.example"}).status_code == 400
    foreign = httpx.post(f"{site.address}/login", data={"name": "ada"}, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    for _ in range(login.MOST_FAILURES):
        last = sign_in(site, "ada", OTHER)
    assert last.status_code == 429 and int(last.headers["retry-after"]) > 0
    assert sign_in(site, "ada", WORD).status_code == 429, "the right password, too: else it could be told"


@needs_browser
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_people_sign_in_and_out_in_a_browser(people: Path, tmp_path: Path, browser) -> None:
    Library.open(tmp_path / "library", create=True)
    with Endpoint(replies({})) as reader:
        site = Site(tmp_path / "library", tmp_path / "log", reader, options=["--users", people])
        try:
            page = browser.new_context().new_page()
            errors: list[str] = []
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.goto(site.address)
            assert page.title() == "Glossator: sign in"
            page.get_by_label("Name").fill("bob")
            page.get_by_label("Password").fill(WORD)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("alert").wait_for()
            assert page.get_by_label("Name").input_value() == "bob"
            page.get_by_label("Password").fill(OTHER)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_label("Question").wait_for()
            assert [error for error in errors if "401" not in error] == []  # which the browser reports, some time later
            page.get_by_role("button", name="Menu").click()
            page.get_by_role("menuitem", name="Sign out").click()
            page.get_by_label("Password").wait_for()
            page.goto(site.address)
            assert page.title() == "Glossator: sign in"
        finally:
            site.interrupt()


def test_the_file_may_be_named_by_the_environment(people: Path, tmp_path: Path, glossator: Run) -> None:
    broken = tmp_path / "broken"
    broken.write_text("nobody")
    refused = glossator("serve", "--library", tmp_path / "l", "--port", 0, env={"GLOSSATOR_USERS": str(broken)})
    assert refused.returncode == 1 and "broken, line 1" in refused.stderr and not (tmp_path / "l").exists()
    assert users.NAME.fullmatch("ada") and os.fspath(people)
