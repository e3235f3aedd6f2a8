"""rag/train/dense_training.py and what it writes: the loss by hand, toy towers that learn, the trained folder."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from rag.encode.dense_encoder import (
    BertEncoder,
    PictureTextEncoder,
    fingerprint_of_trained,
    open_encoder,
    open_in_transformers,
)
from rag.errors import DataError, LibraryError, ModelError, UsageError
from rag.index.dense import DenseIndex
from rag.models.registry import path_of
from rag.protocols import CaptionEncoder, PictureEncoder, silent
from rag.records import Passage
from rag.train import dense_training as train
from rag.train.dense_training import TEMPERATURE, EvidenceExample, contrastive_loss, draw_negatives
from tests.parts import encoder, passage

DIMENSIONS = 16
MINILM = "all-minilm-l6-v2"

# ---- the loss


def test_loss_of_one_positive_by_hand() -> None:
    loss = contrastive_loss(torch.tensor([0.6]), torch.tensor([0.1, -0.2]), 0.5)
    assert float(loss) == pytest.approx(-log(exp(1.2) / (exp(1.2) + exp(0.2) + exp(-0.4))))


def test_positives_are_in_no_other_positives_denominator() -> None:
    first, second, negatives = 0.6, -0.3, [0.1, 0.4]
    parts = [-log(exp(p / 0.5) / (exp(p / 0.5) + exp(0.2) + exp(0.8))) for p in (first, second)]
    loss = contrastive_loss(torch.tensor([first, second]), torch.tensor(negatives), 0.5)
    assert float(loss) == pytest.approx(sum(parts) / 2)
    alone = [contrastive_loss(torch.tensor([p]), torch.tensor(negatives), 0.5) for p in (first, second)]
    assert float(loss) == pytest.approx(float(sum(alone)) / 2)


def test_loss_at_its_edges() -> None:
    nothing = torch.zeros(0)
    assert float(contrastive_loss(torch.tensor([0.2, -1.0]), nothing)) == 0  # p / p
    far = contrastive_loss(torch.tensor([-1.0]), torch.tensor([1.0]), 0.001)
    assert float(far) == pytest.approx(2_000)  # and no overflow
    default = contrastive_loss(torch.tensor([0.5]), torch.tensor([0.4]))
    assert float(default) == pytest.approx(log(1 + exp(-0.1 / TEMPERATURE)))
    similarities = torch.tensor([0.5, 0.1, 0.4], requires_grad=True)
    contrastive_loss(similarities[:1], similarities[1:]).backward()
    assert similarities.grad is not None
    assert similarities.grad[0] < 0 < similarities.grad[1] < similarities.grad[2]  # the nearer one is pushed harder


# ---- the negatives


def block(number: int, text: str = "text", kind: str = "text", picture: str | None = None) -> Passage:
    return replace(passage(number, text), kind=kind, picture=picture)


def test_negatives_are_two_of_each_side_and_never_a_positive() -> None:
    texts, figures = [block(i) for i in range(9)], [block(10 + i, kind="figure") for i in range(5)]
    example = EvidenceExample(
        "q", (texts[0], figures[0]), (*texts, *figures)
    )  # the positives are among the rest, by mistake
    drawn = [draw_negatives(example, False, random.Random(seed)) for seed in range(60)]
    assert all([p.kind for p in some] == ["text"] * 2 + ["figure"] * 2 for some in drawn)
    assert all(len({p.passage_id for p in some}) == 4 for some in drawn)
    assert {p.passage_id for some in drawn for p in some} == {p.passage_id for p in (*texts[1:], *figures[1:])}
    few = EvidenceExample("q", (texts[0],), (texts[1], figures[0]))
    assert draw_negatives(few, False, random.Random(0)) == [texts[1], figures[0]]
    assert draw_negatives(EvidenceExample("q", (texts[0],), ()), False, random.Random(0)) == []


# ---- toy towers


class Towers:
    """A text's vector is drawn by its first word, with noise of its own; that word's picture is in a turned space."""

    def __init__(self, noise: float = 0.3):
        self.turn = np.linalg.qr(np.random.default_rng(7).normal(size=(DIMENSIONS, DIMENSIONS)))[0]
        self.noise = noise

    def drawn(self, text: str) -> NDArray[np.float64]:
        return np.random.default_rng(list(text.encode())).normal(size=DIMENSIONS)

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda n: None) -> NDArray[np.float32]:
        return unit([self.drawn(text.split()[0]) + self.noise * self.drawn(text) for text in texts])

    def encode_pictures(
        self, pictures: Sequence[bytes], report: Callable[[int], None] = lambda n: None
    ) -> NDArray[np.float32]:
        return unit([self.turn @ self.drawn(picture.decode()) for picture in pictures])


def unit(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
    matrix = np.asarray(rows, dtype=np.float64).reshape(len(rows), DIMENSIONS)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def toy(first: int, last: int) -> list[EvidenceExample]:
    """Questions about a picture each, with the others' pictures and texts for the rest of the document."""
    pictures = [block(i, "a figure", "figure", f"c{i}") for i in range(first, last)]
    texts = [block(1_000 + i, f"c{i} text") for i in range(first, last)]
    return [
        EvidenceExample(f"c{i} question", (picture,), tuple(p for p in (*pictures, *texts) if p is not picture))
        for i, picture in zip(range(first, last), pictures, strict=True)
    ]


def recall(projection: NDArray[np.float32], first: int, last: int, k: int = 1) -> float:
    towers = Towers()
    names = [f"c{i}" for i in range(first, last)]
    questions = unit([row @ projection.T for row in towers.encode([f"{name} question" for name in names])])
    scores = questions @ towers.encode_pictures([name.encode() for name in names]).T
    return float(np.mean([(row > row[i]).sum() < k for i, row in enumerate(scores)]))


def test_a_text_tower_learns_to_match_frozen_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "PROJECTION_RATE", 1e-2)  # a whole turn of the space, in few steps
    trained = train.train(toy(0, 200), Towers(), str.encode, epochs=8)
    assert trained.projection is not None and trained.projection.shape == (DIMENSIONS, DIMENSIONS)
    before, after = (recall(projection, 500, 600) for projection in (np.eye(DIMENSIONS), trained.projection))
    assert before < 0.05  # chance is 0.01
    assert after > 0.5  # of questions that it has not seen
    assert trained.losses[-1] < trained.losses[0] / 4
    assert (trained.examples, trained.epochs, len(trained.losses)) == (200, 8, 8)


def test_the_same_seed_gives_the_same_weights() -> None:
    one, same, other = (train.train(toy(0, 40), Towers(), str.encode, 2, seed) for seed in (3, 3, 4))
    assert one.losses == same.losses != other.losses
    assert np.array_equal(one.projection, same.projection)  # type: ignore[arg-type]
    assert not np.array_equal(one.projection, other.projection)  # type: ignore[arg-type]


def test_progress_is_reported_and_nothing_to_learn_is_no_error() -> None:
    heard: list[tuple[str, int, int]] = []
    train.train(toy(0, 20), Towers(), str.encode, 2, report=lambda *what: heard.append(what))
    assert [what for what in heard if what[0] == "training"] == [("training", n, 40) for n in (16, 20, 36, 40)]
    lonely = train.train([EvidenceExample("c1 question", (block(1),), ())], Towers(), str.encode)
    assert lonely.losses == [0.0]
    assert np.array_equal(lonely.projection, np.eye(DIMENSIONS))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no question with evidence"):
        train.train([], Towers(), str.encode)


# ---- a real model that sees, tiny and with random weights

WORDS = "abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    tokens = ["<|startoftext|>", "<|endoftext|>", *WORDS, *(f"{letter}</w>" for letter in WORDS)]
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=16)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    marks = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    text = {**size, **marks, "vocab_size": len(tokens), "max_position_embeddings": 16, "projection_dim": 24}
    vision = {**size, "image_size": 32, "patch_size": 8, "projection_dim": 24}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).save_pretrained(folder)
    crop = {"height": 32, "width": 32}
    CLIPProcessor(CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=crop), tokenizer).save_pretrained(folder)
    return folder


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).resize((40, 32), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def test_texts_and_pictures_of_clip_share_a_space(tiny_clip: Path) -> None:
    clip = open_encoder(str(tiny_clip), 256, 3)
    assert isinstance(clip, PictureEncoder) and not isinstance(clip, CaptionEncoder)
    heard: list[int] = []
    pictures = clip.encode_pictures([png(i) for i in range(5)], heard.append)
    texts = clip.encode(["a b c", "", "x " * 99, "ß 中 \u200b"])
    assert (pictures.shape, texts.shape, pictures.dtype, heard) == ((5, 24), (4, 24), np.float32, [3, 5])
    for rows in (pictures, texts):
        assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-5)
    assert np.abs(clip.encode_pictures([png(3)]) - pictures[3]).max() < 1e-2  # whatever it shares a batch with
    assert (pictures @ pictures.T)[0, 1] < 0.9999
    assert clip.encode_pictures([]).shape == (0, 24)
    with pytest.raises(LibraryError, match="a picture of 7 bytes cannot be read"):
        clip.encode_pictures([b"no png."])


def test_clip_gives_the_features_that_transformers_gives(tiny_clip: Path) -> None:
    from transformers import AutoModel, AutoProcessor

    model, processor = AutoModel.from_pretrained(tiny_clip).eval(), AutoProcessor.from_pretrained(tiny_clip)
    image = Image.open(BytesIO(png(1)))
    with torch.inference_mode():
        inputs = processor(text=["a b c"], images=[image], return_tensors="pt")
        output = model(**inputs)
    exact = open_in_transformers(tiny_clip, 256, 4, exact=True)
    assert isinstance(exact, PictureTextEncoder)
    assert exact.encode(["a b c"]) == pytest.approx(output.text_embeds.numpy(), abs=1e-5)
    assert exact.encode_pictures([png(1)]) == pytest.approx(output.image_embeds.numpy(), abs=1e-5)


def test_the_index_takes_pictures_as_pictures_where_the_encoder_sees(tiny_clip: Path, tmp_path: Path) -> None:
    clip = open_encoder(str(tiny_clip), 256, 4)
    assert isinstance(clip, PictureEncoder)
    asked: list[str] = []

    def picture(name: str) -> bytes:
        asked.append(name)
        return png(int(name))

    index = DenseIndex(tmp_path, lambda: clip, "clip", picture)
    index.apply([], [(1, block(1, "a b", "figure", "1")), (2, block(2, "a b", "figure")), (3, block(3, "a b"))], silent)
    seen, read, text = index.vectors([1, 2, 3])
    assert asked == ["1"]
    assert seen == pytest.approx(clip.encode_pictures([png(1)])[0], abs=1e-2)
    assert read == pytest.approx(text, abs=0) and text == pytest.approx(clip.encode(["a b"])[0], abs=1e-2)
    index.commit()
    again = DenseIndex(tmp_path, lambda: clip, "clip", picture)
    again.open()
    again.apply([], [(4, block(4, "other words", "figure", "1"))], silent)
    assert asked == ["1"]  # known by its sha256, whatever its caption
    assert np.array_equal(again.vectors([4])[0], seen)


def test_all_of_a_text_tower_learns_and_the_pictures_stay(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "FULL_RATE", 3e-3)
    base = train.open_for_training(str(tiny_clip), 256, 8, full=True)
    assert isinstance(base, PictureTextEncoder)
    names = [f"{WORDS[i]} {WORDS[-1 - i]}" for i in range(12)]
    pictures = [block(i, "a figure", "figure", str(i)) for i in range(12)]
    examples = [
        EvidenceExample(name, (picture,), tuple(p for p in pictures if p is not picture))
        for name, picture in zip(names, pictures, strict=True)
    ]

    def right(rows: NDArray[np.float32]) -> float:
        return float(((rows @ seen.T).argmax(axis=1) == np.arange(12)).mean())

    seen = base.encode_pictures([png(i) for i in range(12)])
    before = right(base.encode(names))
    trained = train.train(examples, base, lambda name: png(int(name)), epochs=60, full=True)
    assert before <= 0.25 and right(base.encode(names)) > 0.6  # chance is 1 / 12
    assert np.array_equal(base.encode_pictures([png(i) for i in range(12)]), seen)
    train.save(trained, str(tiny_clip), tmp_path / "trained", "toy")
    loaded = open_encoder(str(tmp_path / "trained"), 256, 8)
    assert isinstance(loaded, PictureEncoder)
    assert right(loaded.encode(names)) > 0.5  # at the precision of searching
    assert loaded.encode_pictures([png(0)]) == pytest.approx(seen[:1], abs=1e-2)


# ---- the folder

TEXTS = ["How many papers were surveyed?", "The committee met in the old town hall.", ""]


def trained_minilm(out: Path, projection: NDArray[np.float32]) -> Path:
    train.save(train.TrainedTextSide(projection, None, 1, 1, 0, [0.5]), MINILM, out, "toy.jsonl")
    return out


def test_an_identity_changes_nothing(tmp_path: Path) -> None:
    folder = trained_minilm(tmp_path / "out", np.eye(384, dtype=np.float32))
    loaded = open_encoder(str(folder), 256, 32)
    assert isinstance(loaded, CaptionEncoder) and not isinstance(loaded, PictureEncoder)
    assert loaded.encode(TEXTS) == pytest.approx(encoder().encode(TEXTS), abs=1e-6)
    assert np.array_equal(loaded.encode_captions(TEXTS), encoder().encode(TEXTS))
    assert loaded.encode([]).shape == (0, 384)
    record = json.loads((folder / "sampler.json").read_text())
    assert record["base"] == MINILM and record["data"] == "toy.jsonl"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out"]


def test_captions_of_what_is_not_seen_stay_on_the_frozen_side(tmp_path: Path) -> None:
    turn = np.roll(np.eye(384, dtype=np.float32), 1, axis=0)
    loaded = open_encoder(str(trained_minilm(tmp_path / "out", turn)), 256, 32)
    index = DenseIndex(tmp_path / "index", lambda: loaded, "trained")
    same = [(1, block(1, TEXTS[0])), (2, block(2, TEXTS[0], "table")), (3, block(3, TEXTS[0], "figure", "0" * 64))]
    index.apply([], same, silent)
    text, table, figure = index.vectors([1, 2, 3])
    plain = encoder().encode(TEXTS[:1])[0]
    assert text == pytest.approx(np.roll(plain, 1), abs=2e-3)
    assert table == pytest.approx(plain, abs=2e-3) and np.array_equal(table, figure)


def test_minilm_learns_a_projection_and_all_of_it(tmp_path: Path) -> None:
    rest = [block(i, text) for i, text in enumerate(TEXTS[:2])] + [block(2, "a chart of tides", "figure")]
    examples = [EvidenceExample("Where did they meet?", (rest[1],), (rest[0], rest[2]))]
    examples += [EvidenceExample("Show the tides", (rest[2],), (rest[0], rest[1]))]
    for full in (False, True):
        base = train.open_for_training(MINILM, 256, 32, full)
        made = train.train(examples, base, str.encode, epochs=2, full=full)
        train.save(made, MINILM, tmp_path / f"full-{full}", "toy")
        assert made.losses[1] < made.losses[0]
        loaded = open_encoder(str(tmp_path / f"full-{full}"), 256, 32)
        assert 0.9 < float(loaded.encode(TEXTS[:1])[0] @ encoder().encode(TEXTS[:1])[0]) < 1 - 1e-7
        assert isinstance(loaded, CaptionEncoder)
        assert np.array_equal(loaded.encode_captions(TEXTS), encoder().encode(TEXTS))
    names = [fingerprint_of_trained(str(tmp_path / f"full-{full}")) for full in (False, True)]
    assert names[0] and names[1] and names[0].split("@")[1] != names[1].split("@")[1]
    assert fingerprint_of_trained(str(path_of(MINILM))) is None


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    folder = trained_minilm(tmp_path / "out", np.eye(384, dtype=np.float32))
    with pytest.raises(UsageError, match="is trained already"):
        train.open_for_training(str(folder), 256, 32, False)
    with pytest.raises(UsageError, match="is there already"):
        trained_minilm(folder, np.eye(384, dtype=np.float32))
    with pytest.raises(ModelError, match="the base has 384 dimensions"):
        open_encoder(str(trained_minilm(tmp_path / "small", np.eye(3, dtype=np.float32))), 256, 32)
    (folder / "projection.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"projection\.safetensors cannot be used"):
        open_encoder(str(folder), 256, 32)
    for record in ("{", "[]", '{"base": 3, "full": false}'):
        (folder / "sampler.json").write_text(record)
        with pytest.raises(ModelError, match=r"sampler\.json: not the record"):
            open_encoder(str(folder), 256, 32)
    for nowhere in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelError, match="cannot be loaded"):
            open_encoder(str(nowhere), 256, 32)


def test_what_a_kill_left_is_no_obstacle(tmp_path: Path) -> None:
    left = tmp_path / "out.new"
    left.mkdir()
    (left / "model.safetensors").write_bytes(b"half")
    folder = trained_minilm(tmp_path / "out", np.eye(384, dtype=np.float32))
    assert sorted(file.name for file in folder.iterdir()) == ["projection.safetensors", "sampler.json"]
    assert not left.exists()


def test_the_default_is_still_the_plain_encoder() -> None:
    assert isinstance(open_encoder(MINILM, 256, 32), BertEncoder)
