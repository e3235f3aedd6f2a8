"""dense.py agrees with brute force in numpy; dense_encoder.py with the sentence-transformers recipe."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from rag.encode.bert import Bert, is_plain_bert
from rag.encode.dense_encoder import BertEncoder, TransformerEncoder, open_base
from rag.errors import LibraryError, ModelError
from rag.index import dense
from rag.index.dense import DenseIndex, DenseRetriever
from rag.index.stored import dense_file, verified
from rag.models.registry import path_of
from rag.protocols import silent
from rag.records import Passage, Removal
from tests.parts import encoder, passage

DIMENSIONS = 8
FP16 = 2e-3  # half precision keeps 11 bits


class FakeEncoder:
    """A text's vector is drawn by its words, so that the same words have the same vector."""

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        vectors = np.asarray([self.vector(text) for text in texts], dtype=np.float32).reshape(len(texts), DIMENSIONS)
        report(len(texts))
        return vectors

    def vector(self, text: str) -> NDArray[np.float32]:
        drawn = np.random.default_rng(list(text.strip().encode())).normal(size=DIMENSIONS)
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)


FAKE = FakeEncoder()


def open_index(folder: Path) -> DenseIndex:
    index = DenseIndex(folder, lambda: FAKE, "fake")
    index.open()
    return index


def build(folder: Path, numbered: Sequence[tuple[int, Passage]], removals: Sequence[Removal] = ()) -> DenseIndex:
    """Apply to what is there, commit, and open again as a reader does."""
    index = open_index(folder)
    index.apply(removals, numbered, silent)
    index.commit()
    index.close()
    return open_index(folder)


def brute_force(numbered: Sequence[tuple[int, Passage]], query: str) -> dict[int, float]:
    """Number -> cosine, in full precision."""
    return {n: float(FAKE.vector(p.text) @ FAKE.vector(query)) for n, p in numbered}


def assert_same(found: Sequence[tuple[int, float]], expected: dict[int, float], k: int) -> None:
    assert len({n for n, _ in found}) == len(found)
    assert len(found) >= min(k, len(expected))  # more only where they tie with the last
    assert all(score == pytest.approx(expected[n], abs=FP16) for n, score in found)
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores[k - 1 :])) <= 1
    left_out = [score for n, score in expected.items() if n not in dict(found)]
    assert not left_out or max(left_out) <= scores[-1] + FP16


NUMBERED = st.dictionaries(st.integers(1, 200), st.text("abc", min_size=1, max_size=2), max_size=60).map(
    lambda texts: [(n, passage(n, text)) for n, text in texts.items()]
)


# ---- the index


@given(numbered=NUMBERED, k=st.integers(1, 70), within=st.none() | st.lists(st.integers(1, 200), max_size=60))
@settings(max_examples=60, deadline=None)
def test_agrees_with_brute_force(numbered: list[tuple[int, Passage]], k: int, within: list[int] | None) -> None:
    with TemporaryDirectory() as folder:
        index = build(Path(folder), numbered)
        assert index.count == len(numbered)
        expected = brute_force([(n, p) for n, p in numbered if within is None or n in within], "query")
        assert_same(index.search(FAKE.vector("query"), k, within), expected, k)


def test_a_thousand_vectors_and_a_number_beyond_32_bits(tmp_path: Path) -> None:
    numbered = [(i * 7 + (1 << 33), passage(i, f"text {i}")) for i in range(1_000)]
    index = build(tmp_path, numbered)
    for query in ("one", "two", "three"):
        assert_same(index.search(FAKE.vector(query), 10), brute_force(numbered, query), 10)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "replace", "crash"]),
        st.integers(1, 30),
        st.lists(st.text("abc", max_size=2), max_size=8),
    ),
    max_size=6,
)


@given(operations=OPERATIONS, share=st.sampled_from([dense.MERGE_SHARE, 0.6, 2.0]))
@settings(max_examples=60, deadline=None)
def test_an_index_that_changed_holds_what_one_built_fresh_holds(
    operations: list[tuple[str, int, list[str]]], share: float
) -> None:
    """Whether what is fresh is merged at once, now and then or never."""
    held: dict[int, Passage] = {}
    with TemporaryDirectory() as folder, patch.object(dense, "MERGE_SHARE", share):
        for what, first, texts in operations:
            numbered = [(first + i, passage(first + i, text)) for i, text in enumerate(texts)]
            last = first + max(0, len(texts) - 1)
            removals = [Removal("d", first, last)] if what in ("remove", "replace") else []
            added = numbered if what in ("add", "replace") else []
            if what == "crash":
                index = open_index(Path(folder))
                index.apply([Removal("d", 1, 10)], numbered, silent)
                index.close()  # without a commit
                continue
            for n in range(first, last + 1) if removals else ():
                held.pop(n, None)
            held.update(added)
            build(Path(folder), added, removals)
            again = build(Path(folder), added, removals)  # twice is the same as once
            assert again.count == len(held)
        index = open_index(Path(folder))
        assert index.count == len(held)
        assert_same(index.search(FAKE.vector("query"), 5), brute_force(list(held.items()), "query"), 5)


def test_a_few_more_vectors_leave_the_main_file_as_it_is(tmp_path: Path) -> None:
    numbered = [(i, passage(i, f"text {i}")) for i in range(60)]
    build(tmp_path, numbered[:50])
    before = (tmp_path / "vectors.faiss").stat()
    index = build(tmp_path, numbered[50:53])
    assert (tmp_path / "vectors.faiss").stat() == before and index.count == 53
    assert_same(index.search(FAKE.vector("query"), 20), brute_force(numbered[:53], "query"), 20)
    fresh = (tmp_path / "fresh.faiss").read_bytes()
    index = build(tmp_path, numbered[53:])  # more than a tenth: they are merged
    assert {file.name for file in tmp_path.iterdir()} == {"vectors.faiss"}
    (tmp_path / "fresh.faiss").write_bytes(fresh)  # as a kill leaves it that comes just then
    index = open_index(tmp_path)
    assert index.count == 60
    assert_same(index.search(FAKE.vector("query"), 20), brute_force(numbered, "query"), 20)
    build(tmp_path, [], [Removal("d", 51, 51)])
    assert open_index(tmp_path).count == 59
    (tmp_path / "fresh.faiss").write_bytes(fresh[:-9])
    with pytest.raises(LibraryError, match=r"fresh\.faiss"):
        open_index(tmp_path)


def test_fresh_vectors_that_become_the_main_ones_can_still_change(tmp_path: Path) -> None:
    """Read from one file and written to another, they are not read from the first again, which others have by then."""
    build(tmp_path, [(i, passage(i, f"text {i}")) for i in range(50)])
    build(tmp_path, [(50, passage(50, "text 50"))])
    index = open_index(tmp_path)
    index.apply([Removal("d", 0, 49)], [], silent)
    index.commit()  # what was fresh is all there is
    index.apply([], [(51, passage(51, "text 51"))], silent)
    index.apply([Removal("d", 50, 50)], [], silent)
    index.commit()
    assert [number for number, _ in index.search(FAKE.vector("query"), 9)] == [51]
    assert [number for number, _ in open_index(tmp_path).search(FAKE.vector("query"), 9)] == [51]


def test_an_unchanged_file_is_read_for_its_checksum_once_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path, [(1, passage(1, "a"))])
    file, read = tmp_path / "vectors.faiss", list[Path]()
    real = dense_file._checksum
    monkeypatch.setattr(dense_file, "_checksum", lambda file, *rest: read.append(file) or real(file, *rest))
    monkeypatch.setattr(verified, "_known", set())  # as in another process
    open_index(tmp_path), open_index(tmp_path)
    assert read == [file]
    os.utime(file)
    open_index(tmp_path)
    assert read == [file, file]


def test_no_vectors_is_no_error(tmp_path: Path) -> None:
    index = open_index(tmp_path / "dense")
    assert (index.count, index.search(FAKE.vector("query"), 5)) == (0, [])
    index.apply([Removal("d", 1, 2)], [], silent)
    index.commit()
    assert open_index(tmp_path / "dense").count == 0
    emptied = build(build_folder := tmp_path / "emptied", [(1, passage(1, "a"))])
    emptied = build(build_folder, [], [Removal("d", 1, 1)])
    assert (emptied.count, emptied.search(FAKE.vector("query"), 5)) == (0, [])
    assert build(build_folder, [(2, passage(2, "b"))]).search(FAKE.vector("b"), 5)[0][0] == 2


def test_vectors_come_back_as_stored(tmp_path: Path) -> None:
    numbered = [(3 + i * 7 + (i > 9) * (1 << 33), passage(i, f"text {i}")) for i in range(20)]
    index = build(tmp_path, numbered, [])
    index = build(tmp_path, [], [Removal("d", 10, 10)])  # text 1
    numbers = [numbered[i][0] for i in (12, 1, 0, 5)]
    vectors = index.vectors([*numbers[:2], 999, *numbers[2:], numbers[0]])  # 999 was never there
    assert (vectors.shape, vectors.dtype) == ((4, DIMENSIONS), np.float32)
    assert vectors == pytest.approx(np.asarray([FAKE.vector(f"text {i}") for i in (12, 0, 5, 12)]), abs=FP16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=5e-4)
    assert index.vectors([]).shape == index.vectors([10]).shape == (0, DIMENSIONS)
    assert open_index(tmp_path / "none").vectors([1]).shape == (0, 0)


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, damage: bytes | None) -> None:
    build(tmp_path, [(i, passage(i, f"text {i}")) for i in range(50)])
    file = tmp_path / "vectors.faiss"
    file.write_bytes(file.read_bytes()[:200] if damage is None else damage)
    with pytest.raises(LibraryError, match=r"vectors\.faiss"):
        open_index(tmp_path)


def test_progress_is_reported(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    index = DenseIndex(tmp_path, lambda: FAKE, "fake")
    index.apply([], [(1, passage(1, "a")), (2, passage(2, "b"))], lambda *what: heard.append(what))
    assert heard == [("vectors", 2, 2)]


# ---- what is not encoded again


class CountingEncoder(FakeEncoder):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        self.texts += texts
        return super().encode(texts, report)


def counting_index(folder: Path, counting: CountingEncoder) -> DenseIndex:
    index = DenseIndex(folder, lambda: counting, "fake")
    index.open()
    return index


def test_no_text_is_encoded_twice(tmp_path: Path) -> None:
    counting = CountingEncoder()
    index = counting_index(tmp_path, counting)
    index.apply([], [(1, passage(1, "a")), (2, passage(2, "b")), (3, passage(3, "a"))], silent)
    assert sorted(counting.texts) == ["a", "b"]
    index.apply([Removal("d", 1, 3)], [(4, passage(4, "b")), (5, passage(5, "c")), (6, passage(6, "a"))], silent)
    assert sorted(counting.texts) == ["a", "b", "c"]  # of those that leave in the same call, too
    index.commit()
    index.close()
    index = counting_index(tmp_path, counting)
    assert index.count == 3
    heard: list[tuple[str, int, int]] = []
    numbered = [(5, passage(5, "c")), (7, passage(7, "b")), (8, passage(8, "new"))]
    index.apply([Removal("d", 4, 4)], numbered, lambda *what: heard.append(what))
    assert sorted(counting.texts) == ["a", "b", "c", "new"] and heard == [("vectors", 1, 1)]
    vectors = np.asarray([FAKE.vector(text) for text in ("c", "a", "b", "new")])
    assert index.vectors([5, 6, 7, 8]) == pytest.approx(vectors, abs=FP16)
    index.apply([], [(9, passage(9, "b", title="T"))], silent)
    assert counting.texts[-1] == "T\nb"  # what is searched is what counts


def test_a_reused_vector_is_the_same_to_the_bit(tmp_path: Path) -> None:
    index = build(tmp_path, [(1, passage(1, "a"))])
    before = index.vectors([1])
    assert np.array_equal(build(tmp_path, [(2, passage(2, "a"))], [Removal("d", 1, 1)]).vectors([2]), before)


@given(operations=OPERATIONS)
@settings(max_examples=40, deadline=None)
def test_no_content_is_encoded_while_it_is_in_the_index(operations: list[tuple[str, int, list[str]]]) -> None:
    held: dict[int, str] = {}
    with TemporaryDirectory() as folder:
        for what, first, texts in operations:
            counting = CountingEncoder()
            index = counting_index(Path(folder), counting)
            numbers = range(first, first + len(texts))
            removals = [Removal("d", first, first + len(texts) - 1)] if texts and what != "add" else []
            added = list(zip(numbers, texts, strict=True)) if what != "remove" else []
            index.apply(removals, [(n, passage(n, text)) for n, text in added], silent)
            assert sorted(counting.texts) == sorted({text for _, text in added} - set(held.values()))
            if what != "crash":  # else without a commit
                index.commit()
                held = {n: text for n, text in held.items() if not removals or n not in numbers} | dict(added)
            index.close()
        index = counting_index(Path(folder), CountingEncoder())
        assert index.count == len(held)
        if held:
            vectors = np.asarray([FAKE.vector(text) for text in held.values()])
            assert index.vectors(list(held)) == pytest.approx(vectors, abs=FP16)


def test_an_index_of_before_there_was_a_checksum_is_read_and_gets_one(tmp_path: Path) -> None:
    build(tmp_path, [(1, passage(1, "a")), (2, passage(2, "b"))])
    file = tmp_path / "vectors.faiss"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20] + b"contents" + whole[-8:])  # as it was written before
    counting = CountingEncoder()
    index = counting_index(tmp_path, counting)
    assert index.search(FAKE.vector("b"), 1)[0][0] == 2
    index.apply([Removal("d", 1, 1)], [(3, passage(3, "c"))], silent)
    assert counting.texts == ["c"]
    index.commit()
    again = counting_index(tmp_path, counting)
    again.apply([], [(4, passage(4, "b"))], silent)
    assert counting.texts == ["c"] and again.count == 3
    assert file.read_bytes()[-16:-8] == b"checked1"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A folder with an index of two vectors, and the bytes of its file."""
    folder = tmp_path_factory.mktemp("vectors")
    build(folder, [(1, passage(1, "a")), (2, passage(2, "b"))])
    return folder, (folder / "vectors.faiss").read_bytes()


@pytest.mark.attack
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_byte_of_the_file_changes_unnoticed(built: tuple[Path, bytes], place: float, bit: int) -> None:
    folder, whole = built
    at = int(place * len(whole))
    flipped = bytearray(whole)
    flipped[at] ^= 1 << bit
    for changed in (bytes(flipped), whole[:at], whole[:at] + whole[at + 1 :]):
        (folder / "vectors.faiss").write_bytes(changed)
        with pytest.raises(LibraryError, match="--repair"):
            open_index(folder)
    (folder / "vectors.faiss").write_bytes(whole)
    assert open_index(folder).count == 2


def test_nothing_of_a_removed_passage_stays(tmp_path: Path) -> None:
    def hashes() -> set[bytes]:
        content = (tmp_path / "vectors.faiss").read_bytes()
        return {content[i : i + 8] for i in range(len(content) - 7)}

    gone = sha256(b"text\0b").digest()[:8]
    build(tmp_path, [(1, passage(1, "a")), (2, passage(2, "b"))])
    assert gone in hashes()
    build(tmp_path, [], [Removal("d", 2, 2)])
    assert gone not in hashes()
    assert {file.name for file in tmp_path.iterdir()} == {"vectors.faiss"}


# ---- the retriever


def test_hits_are_best_first_ties_by_passage_id_and_known_to_the_catalogue(tmp_path: Path) -> None:
    texts = ["same", "other", "same", "same", "else", "same", *(f"text {i}" for i in range(20))]
    numbered = [(i, passage(11 * i % 27, text)) for i, text in enumerate(texts)]  # in another order than numbers
    catalogue = dict(numbered)
    retriever = DenseRetriever(build(tmp_path, numbered), lambda: FAKE, lambda ns: {n: catalogue[n] for n in ns})
    found, none = retriever.search(["same", "other"], 3)
    assert [hit.passage.passage_id for hit in found] == ["d#0", "d#1", "d#22"]  # and d#6 ties, too late
    assert [hit.rank for hit in found] == [1, 2, 3]
    assert [hit.score for hit in found] == pytest.approx([1, 1, 1], abs=FP16)
    assert none[0].passage is catalogue[1]
    assert [hit.passage.text for hit in retriever.search(["same"], 2, within=[1, 4])[0]] != ["same", "same"]
    assert retriever.search(["same"], 5, within=[])[0] == []
    del catalogue[0], catalogue[2]
    left = DenseRetriever(build(tmp_path, []), lambda: FAKE, lambda ns: {n: catalogue[n] for n in ns if n in catalogue})
    assert [(hit.rank, hit.passage.passage_id) for hit in left.search(["same"], 2)[0]] == [(1, "d#1"), (2, "d#6")]
    assert len({hit.passage.passage_id for hit in left.search(["same"], 99)[0]}) == len(catalogue)


def test_a_search_by_vector_is_the_search_by_words(tmp_path: Path) -> None:
    numbered = [(i, passage(i, f"text {i}")) for i in range(20)]
    catalogue = dict(numbered)
    retriever = DenseRetriever(build(tmp_path, numbered), lambda: FAKE, lambda ns: {n: catalogue[n] for n in ns})
    queries = ["one", "two"]
    assert retriever.search_vectors(retriever.encode(queries), 4, [2, 3, 9]) == retriever.search(queries, 4, [2, 3, 9])
    itself = retriever.search_vectors(retriever.vectors([7]), 1)[0]
    assert [hit.passage for hit in itself] == [catalogue[7]]
    assert retriever.search_vectors(retriever.encode([]), 4) == []


# ---- the encoder

TEXTS = [
    "How many papers were surveyed?",
    "The committee met in the old town hall.",
    "die Übergröße",
    "일본어 검색",
    "",
    "word " * 120,
]


def mean_pooled(texts: Sequence[str]) -> NDArray[np.float32]:
    """The recipe of sentence-transformers for this model, a text at a time and in full precision."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = path_of("all-minilm-l6-v2")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    vectors = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state[0].numpy()  # (tokens, dimensions): nothing is padded
        vectors.append(hidden.mean(axis=0) / np.linalg.norm(hidden.mean(axis=0)))
    return np.asarray(vectors, dtype=np.float32)


def test_a_vector_is_the_mean_of_the_last_hidden_states() -> None:
    found, expected = encoder().encode(TEXTS), mean_pooled(TEXTS)
    assert found.shape == (len(TEXTS), 384)
    assert (found * expected).sum(axis=1).min() > 0.999  # bf16 where the processor has it, full precision here


@pytest.mark.parametrize("where", ["numpy", "torch"])
def test_our_bert_is_the_bert_of_transformers(where: str) -> None:
    """In full precision, of texts that share a batch."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = path_of("all-minilm-l6-v2")
    inputs = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    ours = Bert(folder, 512)
    ids, real = ours.tokens(TEXTS)
    np.testing.assert_array_equal(ids, inputs["input_ids"].numpy())
    np.testing.assert_array_equal(real, inputs["attention_mask"].bool().numpy())
    with torch.inference_mode():
        expected = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()(**inputs).last_hidden_state.numpy()
        if where == "numpy":
            found = ours.hidden(ids, real)
        else:
            found = ours.in_torch("float32").hidden(torch.from_numpy(ids), torch.from_numpy(real)).numpy()
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    np.testing.assert_allclose(found[real], expected[real], atol=2e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "roberta"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"tie_word_embeddings": False},
        {"dtype": "bfloat16"},
    ],
)
def test_what_is_not_the_papers_bert_is_left_to_transformers(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = shutil.copytree(path_of("all-minilm-l6-v2"), tmp_path / "model")
    assert is_plain_bert(folder) and not is_plain_bert(tmp_path / "nowhere")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | change), "utf-8")
    assert not is_plain_bert(folder)
    (folder / "config.json").write_text("{", "utf-8")
    assert not is_plain_bert(folder)


def test_threads_encode_as_one_does() -> None:
    """A page is read while another is asked; tokenizers say "Already borrowed" where one of them sets something."""
    some = BertEncoder(path_of("all-minilm-l6-v2"), 64, 32)
    asked = [[text] * (1 + place % 3 * 6) for place, text in enumerate(TEXTS * 8)]  # in numpy and in torch
    alone = [some.encode(texts) for texts in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(some.encode, asked))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_vectors_have_unit_length_whatever_the_text() -> None:
    vectors = encoder().encode([*TEXTS, " \n", "x" * 100_000, "中" * 3_000, "a\u0301\u200b", "😀"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)
    assert np.isfinite(vectors).all()
    assert encoder().encode([]).shape == (0, 384)


def test_the_batch_that_a_text_is_in_does_not_matter() -> None:
    together = encoder().encode(TEXTS)
    alone = np.concatenate([encoder().encode([text]) for text in TEXTS])
    shuffled = random.Random(1).sample(range(len(TEXTS)), len(TEXTS))
    again = encoder().encode([TEXTS[i] for i in shuffled])
    assert (together * alone).sum(axis=1).min() > 0.999
    assert (together[shuffled] * again).sum(axis=1).min() > 0.999
    assert (together @ together.T)[np.triu_indices(len(TEXTS), 1)].max() < 0.9  # and different texts do


@pytest.mark.parametrize("kind", [BertEncoder, TransformerEncoder])
def test_a_long_text_is_cut_at_the_limit_and_not_refused(kind: type[BertEncoder] | type[TransformerEncoder]) -> None:
    short = kind(path_of("all-minilm-l6-v2"), 16, 4)
    head, tail = (
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen ",
        "and more words " * 200,
    )
    one, other, whole = short.encode([head + tail, head + "quite another end", head])
    assert one @ other > 0.999  # 14 words, and the model's two marks
    assert one @ whole > 0.999
    endless = kind(path_of("all-minilm-l6-v2"), 100_000, 4)  # the model has 512 positions
    assert np.linalg.norm(endless.encode([head + tail * 5])) == pytest.approx(1, abs=1e-5)


def test_meaning_is_nearer_than_words() -> None:
    question, answer, trap = encoder().encode([
        "How do I get my money back?",
        "Refunds are paid within thirty days of a written request.",
        "I do get back home with my old car.",
    ])  # fmt: skip
    assert question @ answer > question @ trap


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        open_base(tmp_path / "nowhere", 256, 32)
    shutil.copytree(path_of("all-minilm-l6-v2"), tmp_path / "damaged")
    weights = load_file(tmp_path / "damaged" / "model.safetensors")
    del weights["encoder.layer.5.output.dense.bias"]
    save_file(weights, tmp_path / "damaged" / "model.safetensors")
    with pytest.raises(ModelError, match=r"damaged cannot be loaded.*layer\.5\.output\.dense\.bias"):
        open_base(tmp_path / "damaged", 256, 32)
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"garbage" * 99)
    with pytest.raises(ModelError, match="damaged"):
        open_base(tmp_path / "damaged", 256, 32)
