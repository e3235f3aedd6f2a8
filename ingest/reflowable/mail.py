"""E-mails (.eml): who wrote to whom and when, and what. Attachments are named; ingest/folders/unpack.py has them."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from typing import cast

from ingest.plain_text import mail_date
from ingest.reflowable.archive import refusing
from ingest.reflowable.content import Content, Piece, line_of
from ingest.reflowable.markup import parsed_html, pieces_of_html
from ingest.reflowable.plain import read_text
from rag.errors import DocumentError

DAMAGED = "is a damaged e-mail. Save the message again as .eml"
SHOWN = ("From", "To", "Cc", "Date", "Subject")


def read_mail(data: bytes) -> Content:
    """The message: its plain text, else its HTML. Raises DocumentError for a file that is no e-mail."""
    with refusing(DAMAGED):
        message = email.message_from_bytes(data, policy=default)
        attached = list(message.iter_attachments())
    heads = {name: line_of(text) for name in SHOWN if (text := _header(message, name))}
    if not heads:
        raise DocumentError("is no e-mail: it has no sender and no subject. Save the message again as .eml")
    facts = {"author": heads["From"]} if "From" in heads else {}
    if date := mail_date(heads.get("Date", "")):
        facts["date"] = date
    else:
        heads.pop("Date", None)
    content = Content(heads.get("Subject", ""), _pieces(message, heads), facts)
    names = [line_of(part.get_filename() or "without a name") for part in attached]
    if names:
        content.warnings.append(f"attached: {', '.join(names)}. What can be read of it is a document of its own")
    return content


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name] or "")
    except (ValueError, IndexError, AttributeError, TypeError):  # the parser's own, of odd addresses
        return ""


def _pieces(message: EmailMessage, heads: dict[str, str]) -> Iterator[Piece]:
    yield Piece("text", "\n".join(f"{name}: {text}" for name, text in heads.items()))
    for kind in ("plain", "html"):
        with refusing(DAMAGED):
            body = message.get_body((kind,))
        if body is None:
            continue
        data = _payload(cast(EmailMessage, body))
        found = list(read_text(data).pieces if kind == "plain" else pieces_of_html(parsed_html(data)))
        if found:
            yield from found
            return


def _payload(body: EmailMessage) -> bytes:
    """The body as UTF-8, whatever it is in."""
    try:
        return str(body.get_content()).encode("utf-8", "replace")
    except (LookupError, ValueError, KeyError):  # a character set that nobody knows
        payload = body.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""
