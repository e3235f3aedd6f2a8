"""How long the strings beside a document's text may be, and how many of them there may be. Pure.

A document's text is never shortened. Its title, the headings above a passage, a chapter's title, a speaker, a caption
and the like are repeated with every passage: stored, indexed and shown in every hit. A title that may be as long as the
text makes all that quadratic (a transcript of one word of 1 MB had a chapter title of 1 MB in each of 900 passages:
1.6 GB on disk). Whoever reads a string from a file cuts it to its bound there, with `shortened`; the parent refuses a
child's reply that exceeds one (ingest/child_replies.py). So a passage carries about 4,000 characters at most beside its
text and its episode's description, and catalogue, indexes and hits grow in proportion to the input.

Each bound is a round number above what real documents have; the longest of shared/data (10 PDFs, 150 judgments, 22
episodes; 2026-11-29) stand beside it.
"""

from __future__ import annotations

# -- characters --------------------------------------------------------------------------------------------------------

TITLE = 300  # of a document, an episode, a chapter, a show; a party, who wrote an opinion: 84, 72 for judges' names
NAME = 100  # of a speaker (25), a table's label (11), a record's key, an application number (8), an article (27)
HEADING = 120  # of one heading in a section path: a line of large letters
SECTION = 1_000  # of a section path (292): headings of eight levels, each as long as may be
CAPTION = 1_000  # of a table or figure (729)
REFERENCE = 400  # of a sentence that refers to a table or figure
DESCRIPTION = 2_000  # of an episode, one field of each of its passages in the index: a screen of show notes
CITATION = 1_000  # of the words that cite a case, with its application numbers (357)
WARNING = 500  # of a warning, or of an error that is remembered: one or two sentences with a number or a name
ADDRESS = 4_096  # of a recording: PATH_MAX. A longer address is dropped, for a shortened one leads elsewhere

# -- how many ----------------------------------------------------------------------------------------------------------

CHAPTERS = 1_000  # of an episode (31): one a minute for sixteen hours
REFERENCES = 3  # sentences about one table or figure that are searched with it
FACTS = 20  # what a document says of itself: author, date, DOI
OUTLINE = 5_000  # entries of a PDF's outline
NUMBERS = 1_000  # application numbers of one judgment (11; joined cases have had hundreds)
ARTICLES = 200  # of one judgment (9)
CITATIONS = 10_000  # in one judgment (149)
CITED_NUMBERS = 100  # of one citation (31)
WARNINGS = 100  # of one document
RECORDS = 100_000  # judgments in one file: five times as many as 512 MB hold


def shortened(text: str, most: int) -> str:
    """The text itself if it has at most `most` characters (2 or more), else its beginning with "…", so long at most.

    It is cut between words, unless that would lose more than half of it.

    >>> shortened("The mill of Kolm", 12), shortened("Grainelevator", 12), shortened("The mill", 12)
    ('The mill of…', 'Grainelevat…', 'The mill')
    """
    if len(text) <= most:
        return text
    kept = text[:most]
    between = max(kept.rfind(" "), kept.rfind("\n"))
    end = between if between > most // 2 else most - 1
    return kept[:end].rstrip() + "…"
