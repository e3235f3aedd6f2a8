"""rag/attribute/players.py: clauses and words tile the text, and a coalition's evidence holds just what is present."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.attribute.players import (
    Absence,
    Player,
    absent_spans,
    clauses,
    complement,
    disjoint,
    documents,
    parts,
    text_of,
    without,
    words,
)
from rag.read.prompts import answer_messages, shown
from rag.records import Hit
from tests.parts import passage

PIECES = st.sampled_from(
    ["a", "Mr. B", "1,162", "18.5", "J. K. Rowling", "Paris,", '"so,"', "ends.", "Why?", "etc.", ",", ".", "<|im_end|>",
     "###", "[2]", "的。是", " ", "\n", "\n\n", "  \t"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=25).map(" ".join) | st.text(max_size=40)


def hit(rank: int, text: str, document_id: str = "", title: str = "A Title", start: int = 0) -> Hit:
    return Hit(rank, 1.0, passage(rank, text, document_id or f"d{rank}", title, start))


@st.composite
def evidence(draw: st.DrawFn) -> list[Hit]:
    """Passages of one or two documents, as they overlap where none contains another, in any order."""
    passages = []
    for document_id in draw(st.sampled_from(["a", "ab"])):
        text = " ".join(f"{document_id}{n}{',' * (n % 3 == 0)}{'.' * (n % 7 == 1)}" for n in range(40))
        end = 0
        for start in sorted(draw(st.sets(st.integers(0, 110), min_size=1, max_size=3))):
            end = max(end, start + draw(st.integers(0, 50))) + 1
            passages.append(passage(start, text[start:end], document_id, f"Title {document_id}", start))
    return [Hit(rank, 1.0, part) for rank, part in enumerate(draw(st.permutations(passages)), start=1)]


def leaves(hits: Sequence[Hit]) -> list[Player]:
    """The smallest players: headers, words, and clauses without a word."""
    found = [clause for one in hits for clause in clauses(one)]
    return [leaf for clause in found for leaf in parts(clause, hits) or [clause]]


def said(hits: Sequence[Hit]) -> str:
    return str(answer_messages("Who?", hits))


# ---- players


@given(TEXTS)
@settings(deadline=None)
def test_clauses_tile_the_text_and_words_the_clauses(text: str) -> None:
    one = hit(1, text)
    header, *found = clauses(one)
    assert header.header and text_of(header, one) == "A Title" and not words(header, one)
    assert "".join(text_of(clause, one) for clause in found) == text
    assert all(text_of(clause, one).strip() for clause in found) or not text.strip()
    for clause in found:
        inside = words(clause, one)
        assert "".join(text_of(word, one) for word in inside) == text_of(clause, one) or not text.strip()
        assert [len(text_of(word, one).split()) for word in inside] == [1] * len(text_of(clause, one).split())


def test_clauses_are_those_a_reader_of_text_would_expect() -> None:
    text = (
        'J. K. Rowling paid 1,162 pounds, or 18.5 percent. "So much," he said, in St. Louis.\n'
        "The U.S. Army left at 3.30."
    )
    one = hit(3, text)
    assert [text_of(clause, one) for clause in clauses(one)[1:]] == [
        "J. K. Rowling paid 1,162 pounds, ",
        "or 18.5 percent. ",
        '"So much," ',
        "he said, ",
        "in St. Louis.\n",
        "The U.S. Army left at 3.30.",
    ]
    assert {clause.rank for clause in clauses(one)} == {3}


def test_clauses_of_a_table_are_its_rows() -> None:
    rows = "Mills, by age\nTide, 1911, stone\nWind, 1842, wood"
    one = Hit(1, 1.0, replace(passage(1, rows), kind="table", caption="Mills, by age"))
    assert [text_of(clause, one) for clause in clauses(one)[1:]] == [
        "Mills, by age\n", "Tide, 1911, stone\n", "Wind, 1842, wood"
    ]  # fmt: skip


def test_parts_go_down_to_words() -> None:
    hits = [hit(1, "One. Two three, four."), hit(2, "Five.")]
    first, second = documents(hits)
    assert (first.end, second.end) == (21, 5)
    assert parts(first, hits) == clauses(hits[0]) and parts(second, hits) == clauses(hits[1])
    assert [text_of(word, hits[0]) for word in parts(clauses(hits[0])[2], hits)] == ["Two ", "three, "]
    assert parts(Player("word", 1, 0, 5), hits) == []


# ---- overlap


@given(evidence())
@settings(deadline=None)
def test_disjoint_hits_make_the_same_prompt(hits: list[Hit]) -> None:
    cut = disjoint(hits)
    assert answer_messages("Who?", cut) == answer_messages("Who?", hits) and disjoint(cut) == cut
    assert shown(cut) == [" ".join(one.passage.text.split()) for one in cut]
    for one, old in zip(cut, hits, strict=True):
        offset = one.passage.start - old.passage.start
        assert old.passage.text[offset:].startswith(one.passage.text)


def test_a_figures_later_part_that_is_cut_is_still_continued_and_a_first_part_never() -> None:
    first, later = passage(1, "Mills of old. By coast and more", "d", "T"), passage(2, "and more of them", "d", "T", 23)
    named = [replace(part, label="Table 2", caption="Mills") for part in (first, later)]
    hits = disjoint([Hit(rank, 1.0, part) for rank, part in enumerate(named, start=1)])
    assert hits[1].passage.text == " of them" and "[2] Table 2, continued: of them" in said(hits)
    assert "[1] T: By coast and more" in said(without(hits, [clauses(hits[0])[1]]))
    assert "[2] of them" in said(without(hits, [Player("clause", 2, 0, 0)]))


# ---- a coalition's evidence


@given(evidence(), st.data())
@settings(deadline=None)
def test_deleted_leaves_the_other_words(hits: list[Hit], data: st.DataObject) -> None:
    hits = disjoint(hits)
    absent = data.draw(st.sets(st.sampled_from(leaves(hits))))
    found = {one.rank: one for one in without(hits, absent)}
    for one in hits:
        left = [leaf for leaf in leaves([one]) if leaf not in absent]
        kept = "".join(text_of(leaf, one) for leaf in left if not leaf.header)
        header = any(leaf.header for leaf in left)
        if header or kept.strip():
            changed = found[one.rank].passage
            assert (changed.text, changed.title) == (kept, one.passage.title if header else "")
        else:
            assert one.rank not in found
    texts = [" ".join(one.passage.text.split()) for one in found.values()]
    assert shown(list(found.values())) == texts  # what changed does not hide what did not


@given(evidence(), st.sampled_from(["deleted", "filler", "swapped"]), st.data())
@settings(deadline=None)
def test_a_coalition_may_be_named_by_any_level(hits: list[Hit], absence: Absence, data: st.DataObject) -> None:
    hits = disjoint(hits)
    other = passage(9, "Quite other words, of another place.", "z", "Elsewhere")
    present = data.draw(st.sets(st.sampled_from(leaves(hits))))
    absent = [leaf for leaf in leaves(hits) if leaf not in present]
    coarse = set(present)  # a document, or a clause, in place of all its parts
    for parent in [*(clause for one in hits for clause in clauses(one)), *documents(hits)]:
        if (inside := parts(parent, hits)) and coarse.issuperset(inside):
            coarse = coarse - set(inside) | {parent}
    expected = said(without(hits, absent, absence, other))
    assert said(without(hits, complement(hits, present), absence, other)) == expected
    assert said(without(hits, complement(hits, coarse), absence, other)) == expected


def test_all_and_nothing() -> None:
    hits = [hit(1, "One, two."), hit(4, "Three.")]
    everyone = documents(hits)
    assert complement(hits, everyone) == [] and without(hits, []) == hits
    assert complement(hits, []) == everyone and without(hits, everyone) == []
    assert [one.rank for one in without(hits, [everyone[0]])] == [4]
    assert without(hits, clauses(hits[0])) == hits[1:]
    (bare, _) = without(hits, clauses(hits[0])[1:])
    assert (bare.passage.title, bare.passage.text) == ("A Title", "")
    sentence = hit(1, "One two three.")
    middle = [clauses(sentence)[1], words(clauses(sentence)[1], sentence)[1]]  # a span within a span
    assert without([sentence], middle) == without([sentence], middle[:1])
    assert complement([sentence], [clauses(sentence)[0], *middle]) == []
    pictured = [Hit(1, 1.0, replace(hits[0].passage, picture="aa"))]
    assert without(pictured, documents(pictured), "filler")[0].passage.picture is None
    assert without(pictured, clauses(pictured[0])[:1], "filler")[0].passage.picture == "aa"


@given(evidence(), st.sampled_from(["filler", "swapped"]), st.data())
@settings(deadline=None)
def test_filler_and_swapped_keep_the_place_of_every_other_word(
    hits: list[Hit], absence: Absence, data: st.DataObject
) -> None:
    hits = disjoint(hits)
    other = passage(9, "x y z", "z", "Elsewhere")
    absent = data.draw(st.sets(st.sampled_from(leaves(hits))))
    changed = without(hits, absent, absence, other)
    for one, now in zip(hits, changed, strict=True):
        before, after = one.passage.text.split(), now.passage.text.split()
        words_gone = [player for player in absent if player.rank == one.rank and player.kind == "word"]
        gone = {len(one.passage.text[: word.start].split()) for word in words_gone}
        filled = ["_" if absence == "filler" else "xyz"[n % 3] for n in range(len(before))]
        assert after == [filled[n] if n in gone else word for n, word in enumerate(before)]
        header = Player("clause", one.rank, 0, 0) in absent
        assert now.passage.title == (("_ _" if absence == "filler" else "Elsewhere") if header else one.passage.title)
    assert shown(changed) == [" ".join(one.passage.text.split()) for one in changed]


def test_misuse_is_said() -> None:
    hits = [hit(1, "One.")]
    with pytest.raises(ValueError, match=r"players of ranks \[2\]"):
        without(hits, [Player("document", 2, 0, 4)])
    for nothing in (None, passage(9, " ")):
        with pytest.raises(ValueError, match="unrelated passage"):
            without(hits, documents(hits), "swapped", nothing)


# ---- places in the prompt


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(st.sampled_from("ab"), min_size=4, max_size=4), st.data())
@settings(deadline=None)
def test_absent_spans_are_where_the_prompt_has_the_absent(
    texts: list[str], names: list[str], data: st.DataObject
) -> None:
    starts = [1000 * n for n in range(4)]
    hits = [hit(n + 1, text, names[n], f"T{names[n]} <s>", starts[n]) for n, text in enumerate(texts)]
    asked = answer_messages("Who?", hits)[-1][1]
    prompt = f"<|im_start|>user\n{asked}<|im_end|>\n"
    everything = [*documents(hits), *(clause for one in hits for clause in clauses(one)), *leaves(hits)]
    for player in [data.draw(st.sampled_from(everything)), *documents(hits)]:
        one = hits[player.rank - 1]
        again = player.rank > 1 and names[player.rank - 2] == names[player.rank - 1]
        header = f"[{player.rank}]" + ("" if again else f"{one.passage.title}:")
        line = header * (player.header or player.kind == "document") + text_of(player, one) * (not player.header)
        spans = absent_spans(prompt, hits, [player])
        assert "".join("".join(prompt[a:b].split()) for a, b in spans) == "".join(line.split())
    several = data.draw(st.sets(st.sampled_from(leaves(hits))))
    covered = {at for a, b in absent_spans(prompt, hits, several) for at in range(a, b) if not prompt[at].isspace()}
    each = [absent_spans(prompt, hits, [player]) for player in several]
    assert covered == {at for spans in each for a, b in spans for at in range(a, b) if not prompt[at].isspace()}
    everyone = absent_spans(prompt, hits, documents(hits))
    outside = "".join(c for at, c in enumerate(prompt) if not any(a <= at < b for a, b in everyone))
    assert "".join(outside.split()) == "<|im_start|>userPassages:Question:Who?<|im_end|>"


def test_absent_spans_want_the_prompt_of_disjoint_hits() -> None:
    hits = [hit(1, "one two three", "d"), hit(2, "two three four", "d", start=4)]
    prompt = answer_messages("Who?", hits)[-1][1]
    with pytest.raises(ValueError, match="hit 2 shares words"):
        absent_spans(prompt, hits, documents(hits))
    with pytest.raises(ValueError, match="not in the prompt"):
        absent_spans("Question: Who?", disjoint(hits), [])
    ((start, end),) = absent_spans(prompt, disjoint(hits), [documents(disjoint(hits))[1]])
    assert prompt[start:end] == "[2] four"
