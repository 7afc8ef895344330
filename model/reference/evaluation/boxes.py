"""Boxes in text and how well they agree.  A box is x1, y1, x2, y2."""
import re

BOX = re.compile(r'\[(\d+), (\d+), (\d+), (\d+)\]')


def written(text):
    """Boxes as they stand in an answer, in thousandths of the image."""
    return [tuple(map(int, found)) for found in BOX.findall(text)]


def mentions(text):
    """'a cat [1, 2, 3, 4] [5, 6, 7, 8] and a dog [..]' -> [('a cat', box), ('a cat', box), ('and a dog', box)]"""
    found, start, words = [], 0, ''
    for match in BOX.finditer(text):
        between = text[start:match.start()]
        words = between if between.strip(' ,') else words
        found.append((words.strip(), tuple(map(int, match.groups()))))
        start = match.end()
    return found


def area(box, extra=0.):
    return max(0., box[2] - box[0] + extra) * max(0., box[3] - box[1] + extra)


def iou(a, b, extra=0.):
    """Intersection over union; extra: size of a pixel where corners are inclusive, 0 where boxes are continuous."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + extra
    height = min(a[3], b[3]) - max(a[1], b[1]) + extra
    if width <= 0 or height <= 0:
        return 0.
    shared = width * height
    return shared / (area(a, extra) + area(b, extra) - shared)


def best(box, candidates, extra=0.):
    return max((iou(box, c, extra) for c in candidates), default=0.)


def from_xywh(box):
    x, y, width, height = box
    return x, y, x + width, y + height


def enclosing(boxes):
    return (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
