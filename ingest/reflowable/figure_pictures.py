"""Pictures of documents as PNG of a bounded size, as they are stored and shown."""

from __future__ import annotations

import io
import warnings

from PIL import Image

LARGEST_SIDE = 1_600  # pixels
MOST_PIXELS = 40_000_000  # of a picture before it is made smaller: 120 MB in memory


def as_png(data: bytes) -> bytes | None:
    """The picture as PNG; None for one that cannot be read: a drawing of vectors, a damaged or an enormous one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
            if picture.width * picture.height > MOST_PIXELS or min(picture.size) < 16:
                return None
            picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
            made = io.BytesIO()
            picture.convert("RGBA" if "A" in picture.getbands() else "RGB").save(made, "PNG")
            return made.getvalue()
    except (
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
        MemoryError,
    ):
        return None
