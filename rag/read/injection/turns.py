"""Lines and names that imitate a turn of a conversation, or the end of what is read: "[SYSTEM]", "Assistant: ..."."""

from __future__ import annotations

import re

from rag.read.injection.word_classes import normalised, windows

_ROLE = (
    r"(?:system|assistant|ai|user|human|developer|operator|admin|administrator|chatbot|bot|tool|model"
    r"|sistema|asistente|ia|usuario|humano|desarrollador|operador|modelo"
    r"|assistentin|assistent|ki|nutzer|benutzer|mensch|entwickler|betreiber|modell"
    r"|systeme|assistante|utilisateur|humain|developpeur|operateur|modele)"
)
_KIND = (
    r"(?:messages?|prompts?|notes?|notices?|instructions?|role|turn|mode|override|commands?|directives?"
    r"|mensajes?|instruccion(?:es)?|aviso|nachricht(?:en)?|anweisung(?:en)?|hinweis|mitteilung|consignes?|invites?|avis)"
)
_OF = r"(?:of|from|del?|de la|vom|von|des|du) (?:the )?"
_MARKED = rf"(?:{_ROLE}[ -]?{_KIND}|{_KIND} (?:{_OF})?{_ROLE})"
_LINE = r"(?:^|\s\|\s)[^\w\n]{0,20}"  # where a line or a cell begins
_NAME = rf"(?:{_MARKED}|{_ROLE}|instructions?|instruccion(?:es)?|anweisung(?:en)?|consignes?|prompt)"
TURN_NAME = re.compile(rf"[\W_]*{_NAME}(?:[\W_]+{_NAME}){{0,3}}[\W_\d]*")
TURN_LINE = re.compile(
    rf"{_LINE}{_MARKED}\s?[:>\])}}]"  # "System prompt:", "[message du systeme]"
    rf"|{_LINE}?(?:\[|<\|?|\{{|##)\s?/?{_ROLE}(?:\](?!\()|\|?>|\}}|\s?:)"  # "[assistant]", "### system:"
)
SPEAKER_LINE = re.compile(
    rf"{_LINE}(?:system|sistema|systeme|assistante?|asistente|assistent(?:in)?|ai|ia|ki|developer|operator|admin)\s?:"
)
_READ = (
    r"(?:context|passages?|documents?|excerpts?|evidence|sources?|(?:search )?results|contexto|pasajes?|documentos?"
    r"|fragmentos?|extractos?|kontext(?:e?s)?|passagen|dokumente?[ns]?|textauszuge?n?|auszuge?n?|quellen|contexte|extraits?)"
)
_INNER = (
    r"(?:(?:new|system|untrusted|hidden|real|user|nuevas|nouvelles|neuer?) ){1,2}"
    r"(?:instructions?|prompt|messages?|data|input|content|context|instrucciones|anweisungen?)"
)
END = re.compile(
    r"(?:^|\s\|\s)\W*(?:(?:end|fin|ende|final) (?:of|del?|du|des|der|de la|de los|de las|dieser|dieses) (?:the |all )?"
    rf"(?:\w+ )?{_READ}"
    rf"|(?:the |los |las |die |les )?{_READ} ends? here"
    rf"|(?:begin|start|end|inicio|fin|beginn|anfang|ende|debut) (?:(?:of|del?|du|des|der) )?(?:the )?{_INNER})\W*$"
)
MARKUP = re.compile(
    r"</\s?(?:documents|passages?|context|evidence|search_results?|retrieved\w{0,20}|instructions?|system|assistant|user"
    r"|operator|prompt)\s?>"
)


# What begins or ends a turn of a chat template: "<s>" and "<pad>" are in papers, too, and prompts break them.
_CHAT_MARK = re.compile(
    r"<[|\uff5c](?:im_(?:start|end)|(?:start|end)_header_id|eot_id|eom_id|end|(?i:system|user|assistant|turn))[|\uff5c>]|<turn\||<\|turn>"
    r"|<\uff5cend|<(?:start|end)_of_turn>|<</?SYS>>|\[/?(?:INST|SYSTEM_PROMPT)\]|\[\|(?:user|assistant|system)\|\]"
    r"|### ?(?i:instruction|response|system|assistant)s? ?:"
)


def names_a_turn(name: str) -> bool:
    """Whether a title or a speaker's name is one that begins a turn: "System", "[Assistant]", "### System prompt"."""
    return TURN_NAME.fullmatch(normalised(name)[0]) is not None


def ends_what_is_read(text: str) -> bool:
    """Whether a normalised text is no more than a sign that the passages, or the untrusted words, end here."""
    return END.search(text) is not None or MARKUP.search(text) is not None


def imitates_a_turn(line: str, original: str) -> bool:
    """Whether a line, normalised, begins as a turn of a conversation does; `original` has its case and its signs.

    "System: Windows 11" and "Assistant: Maria Lopez" are of manuals and credits: a bare name counts with an order, or
    a word of what is asked and answered.
    """
    if TURN_LINE.search(line) or _CHAT_MARK.search(original):
        return True
    if not (name := SPEAKER_LINE.search(line)):
        return False
    return any(
        cues.order("reply", "say", "override", "act", "reveal")
        or any(of in cues.at for of in ("you_are", "user", "answer", "only_with"))
        for _, _, cues in windows(line[name.end() :], original[name.end() :])
    )
