"""Document -> passages, by the kind of the document."""

from __future__ import annotations

from ingest.kinds import KINDS
from ingest.text_passages import text_passages
from rag.document import Document
from rag.records import Passage


def chunk(document: Document, max_tokens: int, overlap_tokens: int) -> list[Passage]:
    """Passages of at most `max_tokens`, each a contiguous span of whole sentences of document.text.

    A passage starts with the last sentences of the one before, as many as fit `overlap_tokens`. A sentence longer than
    `max_tokens` is cut at white space. Passages of text do not run over a table or figure, nor over a heading once they
    hold a quarter of `max_tokens`, nor over the end of a chapter or of a judgment's section. In a judgment a passage
    that would end within a numbered paragraph ends before it, if it holds a quarter of `max_tokens` then, and the next
    one begins there, without an overlap. Every character that is not white space is in a passage. A document of a kind
    that is not in KINDS is cut as plain text.
    """
    kind = KINDS.get(document.kind)
    return (kind.passages if kind else text_passages)(document, max_tokens, overlap_tokens)
