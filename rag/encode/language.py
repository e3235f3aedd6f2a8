"""The language of a text: py3langid (Lui and Baldwin 2012), among those that are searched by the stems of words.

English is the rule here, and costs no model: a text with two of its commonest words is taken for it.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

ENGLISH = "en"
NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "tr": "Turkish", "zh": "Chinese",
}  # fmt: skip
# Of 762 questions of HotpotQA, 2Wiki, MuSiQue and the PDFs, all English, five are taken for another language, the
# surest with .58; of 17 questions in ten others all but one are known with .83 and more (2026-11-30).
SURE = 0.7
LEAST_LETTERS = 8
COMMON = frozenset(
    "the of and what who when how did does which where why are were with that from this they has".split()
)
IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # and Hangul: few say much
BEGINNING = 2_000  # characters that are looked at


@lru_cache(maxsize=64)  # a question is asked of it with every prompt
def language_of(text: str) -> str:
    """The code of a text's language, a key of NAMES; "en" for English, and for what cannot be told.

    >>> language_of("Wer hat die Mühle gebaut?"), language_of("Who built the mill?"), language_of("Kolm 1911")
    ('de', 'en', 'en')
    """
    text = text[:BEGINNING]
    words = set(re.findall(r"[^\W\d_]+", text.lower()))
    is_short = sum(map(len, words)) < LEAST_LETTERS and not IDEOGRAPHS.search(text)
    if is_short or len(words & COMMON) > 1:
        return ENGLISH
    language, probability = _identifier().classify(text)
    return str(language) if probability >= SURE and language in NAMES else ENGLISH


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # 0.7 s, which English need not pay

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*NAMES, ENGLISH])
    return identifier
