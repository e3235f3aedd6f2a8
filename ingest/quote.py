"""Where a quote stands among a page's characters. Pure.

The quote comes from one extractor, with mended hyphens and ligatures; the characters and their boxes from another.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from dataclasses import dataclass

from rapidfuzz import fuzz

Span = tuple[int, int]  # half-open, in letters (see _Letters)

KEPT = {"Lu", "Ll", "Lt", "Lo", "Nd", "Nl", "No"}  # without Lm: TeX sets an accent as a letter of its own, "ˇReh˚uˇrek"
SHARE_LETTERS = 24  # a head or tail of a quote shorter than about five words occurs on a page by chance
EDGE_LETTERS = 100  # between the edge of a page's text and its body: running head, page number, printer's line
CLOSE = 0.85  # share of a quote that must match; see _spans


@dataclass(frozen=True)
class _Letters:
    """The letters and digits of `source`, decomposed and casefolded; text[i] stems from source[origins[i]].

    Decomposed (NFKD) rather than composed, since an extractor may give an accent as a character of its own. Spaces,
    hyphens, punctuation and accents are left out: they are what pypdf, pdfium and our mending disagree about.
    """

    source: str
    text: str
    origins: list[int]

    @classmethod
    def of(cls, source: str) -> _Letters:
        folded = ((i, unicodedata.normalize("NFKD", character).casefold()) for i, character in enumerate(source))
        kept = [(letter, i) for i, letters in folded for letter in letters if unicodedata.category(letter) in KEPT]
        return cls(source, "".join(letter for letter, _ in kept), [i for _, i in kept])

    def begins_word(self, at: int) -> bool:
        """Whether no letter stands directly before text[at] in the source."""
        return not self.source[max(self.origins[at] - 1, 0) : self.origins[at]].isalnum()

    def ends_word(self, end: int) -> bool:
        """Whether no letter stands directly after text[end - 1] in the source."""
        return not self.source[self.origins[end - 1] + 1 : self.origins[end - 1] + 2].isalnum()

    def is_words(self, span: Span) -> bool:
        """Whether the span begins and ends between words, so that "art" is rather not found in "party"."""
        return self.begins_word(span[0]) and self.ends_word(span[1])


def find_quote(characters: str, quote: str, near: float | None = None) -> list[int]:
    """Indexes of the page's characters (as pdfium gives them) that the quote covers, ascending; [] if it is not there.

    `near` (0..1) is where in the page's text the quote begins, 0 if on an earlier page: of several occurrences the
    nearest is taken, without it the first. Of a quote that runs over a page break the share on this page is found, if
    it has 24 letters, or 8 in whole words where the page's text begins or ends.

    >>> characters = "The ﬁnal evalu-\\r\\nation. Then"
    >>> "".join(characters[i] for i in find_quote(characters, "final evaluation."))
    'ﬁnal evalu-\\r\\nation.'
    """
    page, wanted = _Letters.of(characters), _Letters.of(quote)
    if not wanted.text:
        return []
    opening, closing = quote[: wanted.origins[0]].lstrip(), quote[wanted.origins[-1] + 1 :].rstrip()
    covered: set[int] = set()
    for first, last in _spans(page, wanted.text, near):
        start, end = page.origins[first], page.origins[last - 1] + 1
        start -= len(opening) * characters.endswith(opening, 0, start)  # the quote's own brackets and full stop
        end += len(closing) * characters.startswith(closing, end)
        covered.update(range(start, end))
    return sorted(covered)


def _spans(page: _Letters, wanted: str, near: float | None) -> list[Span]:
    """Where `wanted` lies: exactly, else its head and tail, else about."""
    exact = _occurrences(page, wanted)
    if exact:
        return [_nearest(page, exact, near)]
    shares = _shares(page, wanted, near)
    if sum(end - start for start, end in shares) >= CLOSE * len(wanted) or len(wanted) < SHARE_LETTERS:
        return shares
    # 85, measured on five PDFs: 40 of 41 true but inexact sentences (formulas, margin text) score 88 or more, and
    # prose from another page at most 78, unless it really is a near-duplicate.
    about = fuzz.partial_ratio_alignment(wanted, page.text, score_cutoff=100 * CLOSE)
    if about is None or about.dest_end - about.dest_start < SHARE_LETTERS:
        return shares
    return [(about.dest_start, about.dest_end)]


def _occurrences(page: _Letters, wanted: str) -> list[Span]:
    starts, start = [], page.text.find(wanted)
    while start >= 0:
        starts.append(start)
        start = page.text.find(wanted, start + 1)
    return [(start, start + len(wanted)) for start in starts]


def _nearest(page: _Letters, spans: list[Span], near: float | None) -> Span:
    wished = (near or 0.0) * len(page.text)
    return min(spans, key=lambda span: (not page.is_words(span), abs(span[0] - wished)))


def _shares(page: _Letters, wanted: str, near: float | None) -> list[Span]:
    """The longest head and the longest tail of `wanted` on the page; both, if the tail follows the head."""
    heads, tails, rest = [], [], wanted
    if length := _longest_head(page.text, wanted):
        start, end = _nearest(page, _occurrences(page, wanted[:length]), 1.0 if near is None else near)
        # back to the end of a word: the word after it may begin, by accident, as the quote goes on
        end = next((at for at in range(end, start, -1) if page.ends_word(at)), start)
        if _is_share(page, (start, end), from_edge=len(page.text) - end):
            heads, rest = [(start, end)], wanted[end - start :]
    if length := _longest_head(page.text[::-1], rest[::-1]):
        start, end = _nearest(page, _occurrences(page, rest[-length:]), near)
        start = next((at for at in range(start, end) if page.begins_word(at)), end)
        tails = [(start, end)] if _is_share(page, (start, end), from_edge=start) else []
    if heads and tails and tails[0][0] < heads[0][1]:
        return max(heads, tails, key=lambda spans: spans[0][1] - spans[0][0])
    return heads + tails


def _is_share(page: _Letters, span: Span, from_edge: int) -> bool:
    """Whether the span is long enough to be no accident; two words do where a page's text begins or ends."""
    length = span[1] - span[0]
    return length >= SHARE_LETTERS or (length >= 8 and from_edge <= EDGE_LETTERS and page.is_words(span))


def _longest_head(text: str, wanted: str) -> int:
    """Length of the longest head of `wanted` in `text`, by bisection: what holds a head holds the shorter ones."""
    return bisect_left(range(1, len(wanted) + 1), True, key=lambda length: wanted[:length] not in text)
