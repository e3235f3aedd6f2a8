"""Which documents a question names ("the SPECTER paper", "in Lessig's book", "Keegan v. the United Kingdom").

By the words of titles and of files' names. A word that several documents share names all of them; words that any text
has name none.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from rag.errors import LibraryError, UsageError
from rag.library.catalogue import Library
from rag.read.match import fold, mentioned
from rag.records import Hit

KIND = (
    r"(?:paper|book|article|study|report|judgments?|case|decision|episode|interview|podcast|notice|handbook|manual|"
    r"excerpt|document|talk|directive|chapter|thesis|transcript|guide|contract|pdf|file)"
)
NEAR = 4  # words at most between a document's name and what it is called
# Words of names by which nobody calls a document.
COMMON = frozenset(
    "the a an and of in on for to with by from at as is are v vs others using use new first two one all any about its "
    "proposed rules general handbook introduction report study paper case document documents pdf excerpt final "
    "transcript chapter part volume edition version guidelines evaluation human modeling learning model models data "
    "analysis measurements methods approach system systems review survey results group groups".split()
)
FEW = 3  # documents at most that one word names


@dataclass(frozen=True, slots=True)
class Scope:
    """The documents that are asked about, and the catalogue numbers of their passages. `chosen`: by the user."""

    documents: tuple[NamedDocument, ...]
    numbers: tuple[int, ...]
    chosen: bool = False

    @property
    def titles(self) -> tuple[str, ...]:
        return tuple(document.title for document in self.documents)


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A document by what it may be called: the words of its title, of its files' names, and the parties of a case."""

    document_id: str
    title: str
    words: frozenset[str]
    main_title: str  # without what stands behind a colon or dash, and as words
    short_title: str
    applicant: tuple[str, ...]
    respondent: tuple[str, ...]


class DocumentNames:
    """The names of a library's documents, of which it is given (id, title, paths) each."""

    def __init__(self, names: Iterable[tuple[str, str, Sequence[str]]]):
        self.documents = tuple(_named(*name) for name in names)
        self._bearers: dict[str, list[NamedDocument]] = {}
        for document in self.documents:
            for word in document.words:
                self._bearers.setdefault(word, []).append(document)

    def called(self, name: str) -> list[NamedDocument]:
        """The documents that have all of these words in their names: of `--in`. Best are those of whose title it is."""
        wanted = _words(name)
        exact = [document for document in self.documents if fold(document.title) == fold(name)]
        return exact or [document for document in self.documents if wanted and set(wanted) <= document.words]

    def alike(self, name: str) -> list[NamedDocument]:
        """The documents that have all of these words in their names, give or take a letter or two."""
        return [document for document in self.documents if name and mentioned(name, [" ".join(document.words)]) == 1.0]

    def named_in(self, question: str) -> list[NamedDocument]:
        """The documents that a question names; [] where it names none, or none in particular."""
        words = _words(question)
        cases = [document for document in self.documents if _is_case(document, words)]
        if cases:
            return cases
        text = " ".join(words)
        titled = [
            document
            for document in self.documents
            if _is_telling(document, question) and re.search(rf"\b{re.escape(document.short_title)}\b", text)
        ]
        if titled:
            return titled
        found: dict[str, NamedDocument] = {}
        for word in self._called_so(question):
            bearers = self._bearers.get(word, [])
            if 0 < len(bearers) <= FEW:
                found |= {document.document_id: document for document in bearers}
        return self._narrowed(list(found.values()), set(words))

    def _called_so(self, question: str) -> list[str]:
        """The words of a question that call a document by name: near to "paper", "judgment", behind "according to"."""
        tokens = [(match[0], _key(match[0])) for match in re.finditer(r"[\w.'’-]+", question)]
        near: list[str] = []
        for place, (token, _) in enumerate(tokens):
            if re.fullmatch(KIND, token.strip(".'’"), re.IGNORECASE):
                around = tokens[max(0, place - NEAR) : place] + tokens[place + 1 : place + 1 + NEAR]
                near += [part for _, keys in around for part in keys]
        for match in re.finditer(r"\b(?:according to|going by)\s+((?:[\w.'’-]+\s?){1,3})", question):
            near += _words(match[1])
        return [word for word in near if word not in COMMON and len(word) > 2]

    @staticmethod
    def _narrowed(found: Sequence[NamedDocument], words: set[str]) -> list[NamedDocument]:
        """Of documents that share a word those that share the most with the question."""
        shared = {document.document_id: len((document.words - COMMON) & words) for document in found}
        most = max(shared.values(), default=0)
        return [document for document in found if shared[document.document_id] == most]


class Scopes:
    """Which part of a library is asked about. The names are read once for each generation of the catalogue."""

    def __init__(self, library: Library):
        self._library = library
        self._names: tuple[int, DocumentNames] | None = None

    @property
    def names(self) -> DocumentNames:
        generation = self._library.generation
        if self._names is None or self._names[0] != generation:
            self._names = generation, DocumentNames(self._library.names())
        return self._names[1]

    def of_question(self, question: str) -> Scope | None:
        """The documents that a question names; None where it names none."""
        return self._scope(self.names.named_in(question))

    def chosen(self, names: Sequence[str]) -> Scope | None:
        """The documents that a user has named: by an id, a prefix of one, a path, or words of their names.

        None without names. Raises UsageError for a name of none or of several.
        """
        found: dict[str, NamedDocument] = {}
        for name in names:
            document = self._by_id(name) or only_one(name, self.names.called(name), self.names.alike(name))
            found[document.document_id] = document
        scope = self._scope(list(found.values()))
        return None if scope is None else replace(scope, chosen=True)

    def of_documents(self, document_ids: Sequence[str]) -> Scope | None:
        """These documents, as far as the library holds them (still)."""
        wanted = set(document_ids)
        return self._scope([document for document in self.names.documents if document.document_id in wanted])

    def _by_id(self, name: str) -> NamedDocument | None:
        try:
            document_id = self._library.find(name)
        except LibraryError:
            return None
        return next((each for each in self.names.documents if each.document_id == document_id), None)

    def _scope(self, documents: Sequence[NamedDocument]) -> Scope | None:
        if not documents:
            return None
        numbers = [
            number
            for document in documents
            for number in self._library.select([f"document_id={document.document_id}"]) or ()
        ]
        return Scope(tuple(documents), tuple(numbers))


def main_document(hits: Sequence[Hit]) -> tuple[str, float]:
    """The document of most of these passages, and its share of them, 0..1; ("", 0) without any."""
    counts = Counter(hit.passage.document_id for hit in hits).most_common(1)
    return (counts[0][0], counts[0][1] / len(hits)) if counts else ("", 0.0)


def only_one(name: str, found: Sequence[NamedDocument], alike: Sequence[NamedDocument] = ()) -> NamedDocument:
    """The document that `--in` means. Raises UsageError where none is, which names those `alike`, or several are."""
    if len(found) == 1:
        return found[0]
    titles = "; ".join(f"{document.title[:60]} ({document.document_id[:8]})" for document in (found or alike)[:5])
    if found:
        raise UsageError(f"--in {name}: {len(found)} documents are called so: {titles}. Give an id or a path")
    if alike:
        raise UsageError(f"--in {name}: no document is called so. Did you mean: {titles}?")
    raise UsageError(f"--in {name}: no document is called so. See: glossator documents")


def _named(document_id: str, title: str, paths: Sequence[str]) -> NamedDocument:
    stems = [PurePath(path).stem for path in paths if "#" not in path]  # a file of many documents names none
    parties = re.split(r"\s+v\.?\s+", title, maxsplit=1)
    applicant, respondent = (tuple(_words(party)) for party in parties) if len(parties) == 2 else ((), ())
    own = parties[0] if applicant else title  # the respondent is a country, of which much is said elsewhere
    words = {word for name in (own, *stems) for word in _words(name)}
    main = re.split(r"[:–—]", title, maxsplit=1)[0].strip()
    return NamedDocument(document_id, title, frozenset(words), main, " ".join(_words(main)), applicant, respondent)


def _is_telling(document: NamedDocument, question: str) -> bool:
    """Whether the words of a title are no accident in a question: "the wheel" names no document called "The wheel".

    Two words that not any title has are enough, or two with the capitals of the title.
    """
    words = document.short_title.split()
    return len(words) >= 2 and (len({*words} - COMMON) >= 2 or document.main_title in question)


def _is_case(document: NamedDocument, words: Sequence[str]) -> bool:
    """Whether a question has the applicant's name, and "v", "case" or "judgment"."""
    applicant = [word for word in document.applicant if word not in ("and", "others", "the")]
    if not applicant or not set(applicant) <= set(words):
        return False
    if not ({"v", "vs", "versus", "case", "judgment", "decision"} & set(words)):
        return False
    return len("".join(applicant)) > 1


def _words(text: str) -> list[str]:
    return [part for token in re.findall(r"[\w.'’-]+", text) for part in _key(token)]


def _key(token: str) -> list[str]:
    """The words of a token: "K.U." is one, "free-culture-lessig2004" three.

    >>> _key("K.U."), _key("free-culture-lessig2004"), _key("Lessig's")
    (['ku'], ['free', 'culture', 'lessig'], ['lessig'])
    """
    token = re.sub(r"['’]s?$", "", _unaccented(fold(token)).strip(".-'’"))
    if re.fullmatch(r"(?:\w\.)+\w?", f"{token}."):
        return [token.replace(".", "")]
    return re.findall(r"[^\W\d_]+(?:\d{1,2}(?!\d))?", token)


def _unaccented(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
