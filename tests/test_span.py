"""rag/span: windows and their offsets by hand, the heads against transformers, and the answer over passages."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rag.errors import ModelError
from rag.span.span_model import OUTPUTS, WEIGHTS, SpanModel, WindowScores, open_span_model, padded
from rag.span.span_reader import decode, read_span, read_spans
from rag.span.windows import PairTokenizer, PassageText, Window, WindowSizes, tokens_of_span, window_starts
from rag.train.reading.onnx_export import write_onnx
from rag.train.reading.reading_student import ReadingStudent

pytestmark = pytest.mark.usefixtures("one_thread")
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "who",
    "ran",
    "?",
    "the",
    "dog",
    "##s",
    "walk",
    "##ed",
    "home",
    ".",
    "river",
]
SMALL = WindowSizes(window=12, question=3, title=2, overlap=4, answer=2)


def tiny(folder: Path, heads: float = 0.5, seed: int = 0, pieces: list[str] = PIECES) -> Path:
    """A reading model with random weights, or with `heads` 0 a BERT without heads, and WordPieces for one story."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    torch.manual_seed(seed)
    size = {"vocab_size": len(pieces), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.BertConfig(**size, intermediate_size=32, initializer_range=0.3, max_position_embeddings=256)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    words = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    words.normalizer = normalizers.BertNormalizer(lowercase=True)
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    words.save(str(folder / "tokenizer.json"))
    tensors = load_file(folder / "model.safetensors")
    for name, outputs in OUTPUTS.items() if heads else ():
        tensors[f"{name}.weight"] = torch.randn(outputs, 16) * heads
        tensors[f"{name}.bias"] = torch.randn(outputs) * heads
    save_file(tensors, folder / "model.safetensors")
    if heads:
        whole = {name: tensor.numpy() for name, tensor in tensors.items()}
        write_onnx(whole, json.loads((folder / "config.json").read_text()), folder / WEIGHTS, int8=False)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SpanModel:
    return open_span_model(folder)


def words_of(window: Window) -> list[str]:
    return [PIECES[number] for number in window.ids]


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_window_by_hand(folder: Path) -> None:
    window, *_ = PairTokenizer(folder, SMALL).windows("Who ran?", [PassageText("River", "The dogs walked.")])
    assert words_of(window) == [
        "[CLS]", "who", "ran", "?", "[SEP]", "river", "[SEP]", "the", "dog", "##s", "walk", "[SEP]",
    ]  # fmt: skip
    assert window.types.tolist() == [0] * 5 + [1] * 7
    assert window.offsets.tolist() == [[0, 0]] * 7 + [[0, 3], [4, 7], [7, 8], [9, 13], [0, 0]]


def test_a_long_text_is_cut_into_windows_that_overlap(folder: Path) -> None:
    """The question is cut at 3 tokens, and 6 of each window are the text's, 3 of them the next one's too."""
    text = "home river home river dogs home river the."
    windows = PairTokenizer(folder, SMALL).windows("Who ran the dog?", [PassageText("", text)])
    assert [words_of(window)[:5] for window in windows] == [["[CLS]", "who", "ran", "the", "[SEP]"]] * 3
    assert [" ".join(words_of(window)[5:-1]) for window in windows] == [
        "home river home river dog ##s", "river dog ##s home river the", "home river the .",
    ]  # fmt: skip
    for window in windows:
        for piece, (start, end) in zip(words_of(window)[5:-1], window.offsets[5:-1], strict=True):
            assert text[start:end].lower() == piece.removeprefix("##")
    # Each word begins a candidate in one window: of the three tokens that two share one is the first one's.
    assert [[text[s:e] for (s, e), ok in zip(w.offsets, w.begins, strict=True) if ok] for w in windows] == [
        ["home", "river", "home", "river"], ["dog", "home"], ["river", "the", "."],
    ]  # fmt: skip
    assert [text[s:e] for (s, e), ok in zip(windows[0].offsets, windows[0].ends, strict=True) if ok][-1] == "s"


def test_window_starts_by_hand() -> None:
    assert window_starts(6, 6, 2) == [(0, range(6))]
    assert window_starts(7, 6, 2) == [(0, range(5)), (4, range(5, 7))]
    assert window_starts(15, 6, 2) == [(0, range(5)), (4, range(5, 9)), (8, range(9, 13)), (12, range(13, 15))]


def test_every_token_is_owned_once_and_its_answers_fit() -> None:
    draw = random.Random(0)
    for _ in range(300):
        room, tokens = draw.randint(4, 60), draw.randint(0, 400)
        overlap = draw.randint(0, room // 2)
        starts = window_starts(tokens, room, overlap)
        assert [place for _, owned in starts for place in owned] == list(range(tokens))
        for first, owned in starts:
            assert all(first <= place for place in owned)
            assert all(min(place + overlap // 2, tokens) <= first + room for place in owned)


def test_offsets_in_other_scripts_are_characters(folder: Path) -> None:
    text = "Ünïcode 漢字 \U0001f600 the \u0e01\u0e33 dogs"
    [window] = PairTokenizer(folder, WindowSizes()).windows("who?", [PassageText("", text)])
    [place] = [i for i, piece in enumerate(words_of(window)) if piece == "dog"]
    start, end = window.offsets[place]
    assert text[start:end] == "dog"


def test_tokens_of_a_span() -> None:
    offsets = np.asarray([[0, 0], [0, 3], [4, 7], [7, 8], [0, 0]])
    assert tokens_of_span(offsets, 4, 8) == (2, 3)
    assert tokens_of_span(offsets, 6, 7) == (2, 2)
    assert tokens_of_span(offsets, 3, 4) is None


# -- heads -------------------------------------------------------------------------------------------------------------


def test_the_scores_are_those_of_transformers(folder: Path, model: SpanModel) -> None:
    import transformers

    passages = [PassageText("river", "the dogs walked home."), PassageText("", "home. " * 90), PassageText("", "")]
    windows = model.tokenizer.windows("who ran home?", passages)
    theirs = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tensors = load_file(folder / "model.safetensors")
    ids, types, real = map(torch.from_numpy, padded(windows))
    with torch.inference_mode():
        states = theirs(ids, attention_mask=real.long(), token_type_ids=types).last_hidden_state
        spans, heads = (
            torch.nn.functional.linear(given, tensors[f"{name}.weight"], tensors[f"{name}.bias"])
            for name, given in (("heads.span", states), ("heads.passage", states[:, 0]))
        )
        supports = torch.nn.functional.linear(
            states[:, 0], tensors["heads.support.weight"], tensors["heads.support.bias"]
        )
    for own in (model, ReadingStudent(str(folder), 0).model):
        for row, (window, score) in enumerate(zip(windows, own.scores(windows), strict=True)):
            length = len(window.ids)
            np.testing.assert_allclose(np.stack([score.starts, score.ends], 1), spans[row, :length], atol=1e-4)
            found = [score.yes, score.no, score.not_here, score.relevance]
            np.testing.assert_allclose(found, heads[row], atol=1e-4)
        np.testing.assert_allclose(own.support_scores(windows), supports, atol=1e-4)


def test_int8_weights_are_near_the_whole_ones(folder: Path, model: SpanModel, tmp_path: Path) -> None:
    """Of a model with outputs of about 1: within a fifth."""
    tensors = {name: tensor.numpy() for name, tensor in load_file(folder / "model.safetensors").items()}
    write_onnx(tensors, json.loads((folder / "config.json").read_text()), tmp_path / WEIGHTS, int8=True)
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    windows = model.tokenizer.windows(
        "who ran home?", [PassageText("river", "the dogs walked home."), PassageText("", "")]
    )
    pairs = zip(open_span_model(tmp_path).scores(windows), model.scores(windows), strict=True)
    for ours, whole in pairs:
        np.testing.assert_allclose(ours.starts, whole.starts, atol=0.2)
        assert (ours.yes, ours.relevance) == pytest.approx((whole.yes, whole.relevance), abs=0.2)


def test_it_reads_without_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom rag.span.span_model import open_span_model\n"
        "from rag.span.span_reader import read_span\nfrom rag.span.windows import PassageText\n"
        f"print(read_span(open_span_model({str(folder)!r}), 'who ran?', [PassageText('', 'the dogs')]).kind)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_a_folder_that_is_none_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        open_span_model(tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    with pytest.raises(ModelError, match="reading model"):  # weights missing
        open_span_model(tmp_path)
    whole = (folder / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="Train it again"):
        open_span_model(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    tensors = {name: tensor.numpy() for name, tensor in load_file(folder / "model.safetensors").items()}
    tensors["heads.span.weight"], tensors["heads.span.bias"] = np.zeros((3, 16), np.float32), np.zeros(3, np.float32)
    with pytest.MonkeyPatch.context() as patch:  # of another version, with another head
        patch.setitem(OUTPUTS, "heads.span", 3)
        write_onnx(tensors, config, tmp_path / WEIGHTS, int8=False)
    with pytest.raises(ModelError, match="its heads are"):
        open_span_model(tmp_path)


def test_weights_that_are_no_numbers_are_refused(folder: Path, tmp_path: Path) -> None:
    tensors = {name: tensor.numpy() for name, tensor in load_file(folder / "model.safetensors").items()}
    tensors["heads.passage.bias"] = np.full(4, np.nan, np.float32)
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    write_onnx(tensors, json.loads((folder / "config.json").read_text()), tmp_path / WEIGHTS, int8=False)
    model = open_span_model(tmp_path)
    with pytest.raises(ModelError, match="no numbers"):
        read_span(model, "who ran?", [PassageText("", "the dogs")])


# -- the answer --------------------------------------------------------------------------------------------------------


def made_window(passage: int, words: int) -> Window:
    """Words of one letter, apart, without question or title."""
    offsets = np.asarray([[2 * i, 2 * i + 1] for i in range(words)])
    yes = np.ones(words, dtype=np.bool_)
    return Window(passage, np.arange(words), np.ones(words, dtype=np.int64), offsets, yes, yes)


def made_scores(starts: list[float], ends: list[float], *heads: float) -> WindowScores:
    return WindowScores(np.asarray(starts, np.float32), np.asarray(ends, np.float32), *heads)


def test_an_answer_by_hand() -> None:
    """Odds against "not here", which has 1: the spans of the first passage e^(s + e - 1), yes and no e^-9 each."""
    passages = [PassageText("", "a b c"), PassageText("", "d")]
    windows = [made_window(0, 3), made_window(1, 1)]
    scores = [
        made_scores([0, 3, 0], [0, 0, 2], -8.0, -8.0, 1.0, 0.0), made_scores([1], [1], -7.0, -7.0, 2.0, 1.0)
    ]  # fmt: skip
    pairs = [0, 0, 3, 5, 2]  # a, a b, b, b c, c; a b c is too long
    whole = 1 + sum(np.exp(pair - 1) for pair in pairs) + np.exp(2 - 2) + 4 * np.exp(-9)
    found = decode(passages, windows, scores, longest=2)
    assert (found.kind, found.text, found.passage, found.start, found.end) == ("span", "b c", 0, 2, 5)
    assert found.probability == pytest.approx(np.exp(4) / whole, rel=1e-6)
    assert found.not_here == pytest.approx(1 / whole, rel=1e-6)
    assert found.relevance == pytest.approx((0.5, 1 / (1 + np.exp(-1))))


def test_yes_and_not_here_by_hand() -> None:
    passages, windows = [PassageText("", "a"), PassageText("", "b")], [made_window(0, 1), made_window(1, 1)]
    scores = [made_scores([-4], [-4], 2.0, 1.0, 0.0, 0.0), made_scores([-4], [-4], 3.0, 1.0, 0.0, 0.0)]
    whole = 1 + 2 * np.exp(-8) + np.exp(2) + np.exp(3) + 2 * np.exp(1)
    found = decode(passages, windows, scores, longest=2)
    assert (found.kind, found.text, found.passage) == ("yes", "yes", 1)
    assert found.probability == pytest.approx((np.exp(2) + np.exp(3)) / whole, rel=1e-6)
    nothing = decode(passages, windows, [made_scores([-4], [-4], -4.0, -4.0, 3.0, 0.0)] * 2, longest=2)
    assert (nothing.kind, nothing.text, nothing.passage, nothing.probability) == (
        "not here",
        "",
        None,
        nothing.not_here,
    )


def test_the_order_of_the_passages_makes_no_difference(model: SpanModel) -> None:
    draw = random.Random(1)
    kinds = set()
    for _ in range(60):
        words = [" ".join(draw.choices(PIECES[4:], k=draw.choice([1, 5, 300]))) for _ in range(4)]
        passages = [PassageText(draw.choice(["", "river"]), text.replace(" ##", "")) for text in words]
        question = " ".join(draw.choices(PIECES[4:9], k=4))
        order = draw.sample(range(4), 4)
        first, second = read_spans(model, [(question, passages), (question, [passages[i] for i in order])])
        kinds.add(first.kind)
        assert (first.kind, first.text, first.start) == (second.kind, second.text, second.start)
        assert second.passage is None or passages[order[second.passage]] == passages[first.passage or 0]
        assert second.probability == pytest.approx(first.probability, abs=1e-5)
        assert [second.relevance[order.index(i)] for i in range(4)] == pytest.approx(first.relevance, abs=1e-5)
        assert first.kind != "span" or passages[first.passage or 0].text[first.start : first.end] == first.text
    assert {"span"} < kinds


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        ("", ["the dogs walked"]), ("who?", []), ("who?", [""]), ("", [""]), (" \n", ["\ud800 dogs", "\x00"]),
        ("who ran " * 400, ["the dogs " * 2500]), ("誰が走った", ["犬が走った。" * 50]), ("who?", ["dog"]),
        ("من ركض؟", ["\u202eركض الكلب\u202c", "\ufeff"]),
    ],
)  # fmt: skip
def test_odd_questions_and_passages_have_an_answer(model: SpanModel, question: str, texts: list[Any]) -> None:
    found = read_span(model, question, [PassageText("", text) for text in texts])
    assert found.kind in ("span", "yes", "no", "not here")
    assert 0 <= found.not_here <= 1 and 0 <= found.probability <= 1 and len(found.relevance) == len(texts)
    assert texts or found.not_here == 1
