"""Where words stand, for people, in what has something better than pages: a recording, a judgment."""

from __future__ import annotations

from rag.records import Citation, Passage
from rag.timecodes import place_in_recording


def place_in(source: Passage | Citation) -> str:
    """ "Chapter title, 1:02:03, Speaker" or "THE LAW, § 45"; "" where only the page can be told."""
    return place_in_recording(source) or place_in_case(source)


def place_in_case(source: Passage | Citation) -> str:
    """The section of a judgment and the paragraphs in it; "" of what is none, or is not divided."""
    part = source.section.partition(" > ")[0] if source.part else ""
    first, last = source.first_paragraph, source.last_paragraph
    numbers = "" if first is None else f"§ {first}" if first == last else f"§§ {first}-{last}"
    return ", ".join(filter(None, (part, numbers)))
