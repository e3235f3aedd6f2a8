"""By which identifiers a paper says it is known: DOI and arXiv number, from its first page. Pure."""

from __future__ import annotations

import re

FIRST = 8_000  # characters in which a paper names itself: further on it cites others
DOI = re.compile(r"\b(?:doi(?:\.org/|:\s*)|https?://(?:dx\.)?doi\.org/)\s*(10\.\d{4,9}/[^\s\"<>{}|\\^`]+)", re.I)
ARXIV = re.compile(r"\barXiv:\s?(\d{2})(\d{2})\.(\d{4,5})(?:v\d+)?", re.I)


def identifiers(text: str) -> dict[str, str]:
    """The first DOI and arXiv number in the beginning of a text, with the year that the latter has.

    >>> identifiers("SPECTER. arXiv:2004.07180v4 [cs.CL] 20 May 2020. https://doi.org/10.18653/v1/2020.acl-main.207.")
    {'doi': '10.18653/v1/2020.acl-main.207', 'arxiv': '2004.07180', 'date': '2020'}
    """
    found = {}
    if doi := DOI.search(text, 0, FIRST):
        found["doi"] = doi[1].rstrip(".,;:)]")
    if arxiv := ARXIV.search(text, 0, FIRST):
        found["arxiv"] = f"{arxiv[1]}{arxiv[2]}.{arxiv[3]}"
        found["date"] = f"20{arxiv[1]}"
    return found
