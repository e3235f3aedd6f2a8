"""Text recognition: the lines of text in a scanned page or a figure. Numpy, rapidocr and cv2 are loaded here only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels: TypeAlias = NDArray[np.uint8]  # (height, width, 3), blue first
Boxes: TypeAlias = NDArray[np.float32]  # (n, 4, 2): top left, top right, bottom right, bottom left; x, y in pixels
Point = tuple[float, float]
Reading = tuple[str, float, int]  # text, confidence, the corner of the box at which the first letter's top is

MIN_SIDE = 16  # pixels; nothing smaller holds a word
MAX_SIDE = 1760  # pixels: A4 at 150 dpi. At 200 dpi the same text comes out, and finding the lines takes twice as long
MAX_ENLARGED, LARGE_ENOUGH = 3.0, 736  # a small figure's letters are too small to be found as they are
MAX_LINE_PIXELS = 200_000  # of all lines side by side, when they are 48 pixels high: 20 s of one processor
NARROWEST = 0.75  # lines are read as well at this part of their width; at 0.6 one character in twenty is wrong
LINE_HEIGHT, LEAST_LINE_WIDTH = 48, 160  # pixels that the recogniser is given; the usual 320 read a word no better
# Pixels: lines that are as high in a picture at half its size are found there as well; in one that was enlarged.
LEAST_AT_HALF, LEAST_AT_HALF_ENLARGED = 12, 14
MOST_OUTSIDE = 12  # marks of a letter's size that stand in no line: arrows and bullets, or a line that was overlooked
MARK, MARK_SIDES, MARK_AREA = 60, (4, 25), 6  # darker than around it by so much of 255; pixels
BORDER = 5  # pixels: the edge of a box, which may cut a letter
SAMPLE = 6  # lines that decide which way up a page is
CERTAIN = 0.9  # the sample's mean confidence: 0.97 and more the right way up, 0.8 and less upside down
DOUBTFUL, MAX_DOUBTFUL = 0.8, 40  # below this confidence a line is tried the other ways up, so many lines at most
MIN_CONFIDENCE = 0.7  # below it one line in six has four of five characters right, above 0.85 nearly all have
ELONGATED, LONG = 1.5, 3.0  # length by height: which way it runs is likely, and certain, from the shape of a box
THREADS = 1  # of a process: two processes with one each get through more pages than with two each


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line of text in a picture.

    The corners are in pixels (x to the right, y down). They begin at the first letter's top and go round as the line is
    read: top left, top right, bottom right, bottom left of a line that is upright. The confidence, 0 to 1, is the
    recogniser's.
    """

    text: str
    corners: tuple[Point, Point, Point, Point]
    confidence: float


def read_picture(picture: Image.Image) -> list[OcrLine]:
    """The lines of text in a page scan or a figure, from top to bottom as the picture stands; not merged, not columns.

    The picture may lie on a side or on its head, and be skewed by 10 degrees. What the recogniser is less than 70 %
    sure of is left out, and so is all of a picture with a side below 16 pixels, and the end of one that has more text
    than three dense pages.
    """
    if min(picture.size) < MIN_SIDE:
        return []
    pixels = _pixels(picture)
    scale = (picture.width / pixels.shape[1], picture.height / pixels.shape[0])
    boxes = _find_lines(pixels)
    lines = []
    for box, (text, confidence, first) in zip(boxes, _read_lines(pixels, boxes), strict=True):
        if confidence >= MIN_CONFIDENCE and text.strip() and not _is_outline(text, box, pixels):
            a, b, c, d = ((float(x), float(y)) for x, y in np.roll(box, -first, axis=0) * scale)
            lines.append(OcrLine(text.strip(), (a, b, c, d), confidence))
    return lines


def _is_outline(text: str, box: Boxes, pixels: Pixels) -> bool:
    """Whether a drawing without words was taken for one large character."""
    width, height = math.dist(box[0], box[1]), math.dist(box[0], box[3])
    return len(text.strip()) == 1 and 2 * width * height > pixels.shape[0] * pixels.shape[1]


@cache
def _engine() -> Any:
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(THREADS)
    models = files("rapidocr") / "models"
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_preprocess_img": False,
            "Global.use_vertical_padding": False,
            # With a path nothing is looked up or downloaded.
            "Det.model_path": str(models / "PP-OCRv6_det_small.onnx"),
            "Rec.model_path": str(models / "PP-OCRv6_rec_small.onnx"),
            "Det.limit_type": "max",  # otherwise a strip is enlarged until its shorter side is 736 pixels
            "Det.limit_side_len": MAX_SIDE,
            "Rec.rec_img_shape": [3, LINE_HEIGHT, LEAST_LINE_WIDTH],
            "Rec.rec_batch_num": 1,  # a quarter quicker than 6, and what a line reads as does not hang on the others
            "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def _pixels(picture: Image.Image) -> Pixels:
    """The picture on white, in a size in which its letters can be found."""
    if picture.has_transparency_data:
        drawn = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn)
    scale = min(MAX_SIDE / max(picture.size), MAX_ENLARGED, max(1.0, LARGE_ENOUGH / min(picture.size)))
    picture = picture.convert("RGB")
    if scale != 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def _find_lines(pixels: Pixels) -> Boxes:
    boxes = _detect(pixels)
    if not _is_lying(boxes):
        return boxes
    # Lines that run up or down are found less reliably: one in forty was lost.
    turned = _detect(np.ascontiguousarray(np.rot90(pixels)))
    back = np.stack([pixels.shape[1] - turned[..., 1], turned[..., 0]], axis=-1)
    return np.roll(back, 1, axis=1)


def _detect(pixels: Pixels) -> Boxes:
    """The boxes of lines, from half the size in a quarter of the time, unless one is thin there or letters are left."""
    import cv2

    height, width = pixels.shape[:2]
    half = cv2.resize(pixels, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    boxes = _boxes(half)
    least = LEAST_AT_HALF if min(height, width) > LARGE_ENOUGH else LEAST_AT_HALF_ENLARGED
    is_thin = not len(boxes) or np.minimum(*_sides(boxes)).min() < least
    return _boxes(pixels) if is_thin or _marks_outside(pixels, boxes * 2) > MOST_OUTSIDE else boxes * np.float32(2)


def _marks_outside(pixels: Pixels, boxes: Boxes) -> int:
    """How many dark marks of a letter's size stand in none of these boxes."""
    import cv2

    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    dark = (cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((9, 9), np.uint8)) > MARK).astype(np.uint8)
    for box in boxes.astype(np.int32):
        cv2.fillPoly(dark, [box], 0)
        cv2.polylines(dark, [box], True, 0, BORDER)
    _, _, marks, _ = cv2.connectedComponentsWithStats(dark, connectivity=8)
    width, height, area = (marks[1:, column] for column in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    least, most = MARK_SIDES
    return int(np.sum((width <= most) & (height >= least) & (height <= most) & (area >= MARK_AREA)))


def _boxes(pixels: Pixels) -> Boxes:
    boxes = _engine()(pixels, use_det=True, use_cls=False, use_rec=False).boxes
    return np.zeros((0, 4, 2), np.float32) if boxes is None else np.asarray(boxes, np.float32)


def _sides(boxes: Boxes) -> tuple[NDArray[Any], NDArray[Any]]:
    widths = np.linalg.norm(boxes[:, 0] - boxes[:, 1], axis=1)
    heights = np.linalg.norm(boxes[:, 0] - boxes[:, 3], axis=1)
    return np.maximum(widths, 1), np.maximum(heights, 1)


def _is_lying(boxes: Boxes) -> bool:
    """Whether most text runs up or down the picture."""
    widths, heights = _sides(boxes)
    up, along = heights >= ELONGATED * widths, widths >= ELONGATED * heights
    return bool(heights[up].sum() > widths[along].sum())


def _read_lines(pixels: Pixels, boxes: Boxes) -> list[Reading]:
    """What each box reads as, the right way up."""
    widths, heights = _sides(boxes)
    ratios = np.maximum(widths, heights) / np.minimum(widths, heights)
    # A narrow letter on an upright page is no line that runs up the page.
    up = np.where(ratios >= LONG, heights > widths, _is_lying(boxes))
    lengths = np.where(up, heights / widths, widths / heights) * LINE_HEIGHT
    squeeze = float(np.clip(MAX_LINE_PIXELS / max(lengths.sum(), 1), NARROWEST, 1))
    demand = np.maximum(lengths * squeeze, LEAST_LINE_WIDTH)
    affordable = np.flatnonzero(demand.cumsum() <= MAX_LINE_PIXELS)

    def read(numbers: Sequence[int], firsts: Sequence[int]) -> list[Reading]:
        if not numbers:
            return []
        crops = [
            _crop(pixels, np.roll(boxes[i], -first, axis=0), squeeze) for i, first in zip(numbers, firsts, strict=True)
        ]
        found = _engine().recognize_txt(crops)
        return [(t, float(c), first) for t, c, first in zip(found.txts, found.scores, firsts, strict=True)]

    readings: dict[int, Reading] = {}
    for first in (0, 3):  # from left to right; upwards, as most labels beside a diagram
        group = sorted((i for i in affordable.tolist() if up[i] == (first == 3)), key=lambda i: -ratios[i])
        sample, rest = group[:SAMPLE], group[SAMPLE:]
        found = read(sample, [first] * len(sample))
        if found and _mean(found) < CERTAIN:
            other = read(sample, [first ^ 2] * len(sample))
            found = max(found, other, key=_mean)
        found += read(rest, [found[0][2]] * len(rest)) if found else []
        readings.update(zip(group, found, strict=True))

    doubtful = sorted((readings[i][1], i) for i in readings if readings[i][1] < DOUBTFUL)[-MAX_DOUBTFUL:]
    turns = [(i, readings[i][2] ^ turn) for _, i in doubtful for turn in ((2,) if ratios[i] >= LONG else (1, 2, 3))]
    for (i, _), reading in zip(turns, read([i for i, _ in turns], [first for _, first in turns]), strict=True):
        # A round thing in a drawing is a zero any way up.
        if reading[1] > readings[i][1] and len(reading[0].strip()) > 1:
            readings[i] = reading
    return [readings.get(i, ("", 0.0, 0)) for i in range(len(boxes))]


def _mean(readings: Sequence[Reading]) -> float:
    return sum(confidence for _, confidence, _ in readings) / len(readings)


def _crop(pixels: Pixels, box: Boxes, squeeze: float) -> Pixels:
    """The line in a box, upright and by itself; its width times `squeeze`."""
    import cv2

    width = max(1, int(squeeze * max(math.dist(box[0], box[1]), math.dist(box[2], box[3]))))
    height = max(1, int(max(math.dist(box[0], box[3]), math.dist(box[1], box[2]))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(box, np.float32), target)
    line = cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(line, np.uint8)
