"""Boxes and outlines of annotations as pixels."""
import math

import numpy as np
from PIL import Image, ImageDraw

from data import rle


def inside(x1, y1, x2, y2, width, height):
    """Inclusive corners, cut to the image: -> box, or None where nothing is left."""
    box = max(0, x1), max(0, y1), min(width - 1, x2), min(height - 1, y2)
    return box if box[0] <= box[2] and box[1] <= box[3] else None


def from_xywh(xywh, width, height):
    """COCO's [x, y, width, height] in fractions of pixels -> the pixels that it touches, or None where there are none."""
    if not isinstance(xywh, (list, tuple)) or len(xywh) != 4:
        return None
    if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in xywh) or min(xywh[2:]) <= 0:
        return None
    x, y, w, h = xywh
    x1, y1 = math.floor(x), math.floor(y)
    return inside(x1, y1, max(x1, math.ceil(x + w) - 1), max(y1, math.ceil(y + h) - 1), width, height)


def area(box):
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def centre(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def overlap(a, b):
    """Intersection over union."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    both = max(0, w) * max(0, h)
    return both / (area(a) + area(b) - both)


def box_of(mask):
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(xs[0]), int(ys[0]), int(xs[-1]), int(ys[-1])


def usable(outline):
    """Whether an annotation's segmentation is one that pixels() can draw."""
    if isinstance(outline, dict):
        return isinstance(outline.get('counts'), (str, list)) and isinstance(outline.get('size'), list)
    return isinstance(outline, list) and bool(outline) and all(
        isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 and all(isinstance(v, (int, float)) for v in ring)
        for ring in outline)


def pixels(outline, width, height):
    """COCO polygons, an RLE, or a mask -> bool [height, width]; None where the outline does not fit the image."""
    if isinstance(outline, np.ndarray):
        return outline
    if isinstance(outline, dict):
        try:
            return rle.decode(outline) if outline['size'] == [height, width] else None
        except rle.BadRle:
            return None
    canvas = Image.new('1', (width, height))
    pen = ImageDraw.Draw(canvas)
    for ring in outline:                      # a polygon's coordinates are pixel corners, Pillow's are pixel centres
        pen.polygon([(x - .5, y - .5) for x, y in zip(ring[::2], ring[1::2])], fill=1)
    return np.array(canvas)
