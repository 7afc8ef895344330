"""Points, boxes and free-form shapes that refer to an object.  `rng` decides everything."""
import math

import numpy as np
from PIL import Image, ImageDraw

from data import masks, rle
from data.text import Refer

POINT_TRIES = 1000        # pixels of which a point is the one nearest to the box's centre, as in the published training code
POINT_SIGMA = .15         # of the box's sides, where no mask is known; from there too
FREE_PIXELS = 16          # a smaller object gets no free-form shape


def box_region(thing):
    return Refer(thing.box, 'box')


def point_region(rng, thing, mask=None):
    x1, y1, x2, y2 = thing.box
    cx, cy = masks.centre(thing.box)
    ys, xs = np.nonzero(mask[y1:y2 + 1, x1:x2 + 1]) if mask is not None else ((), ())
    if len(ys):
        tried = [rng.randrange(len(ys)) for _ in range(POINT_TRIES)] if len(ys) > POINT_TRIES else range(len(ys))
        xs, ys = xs[tried] + x1, ys[tried] + y1
        best = ((xs - cx) ** 2 + (ys - cy) ** 2).argmin()
        return Refer(thing.box, 'point', (int(xs[best]), int(ys[best])))
    while True:
        x, y = round(rng.gauss(cx, POINT_SIGMA * (x2 - x1 + 1))), round(rng.gauss(cy, POINT_SIGMA * (y2 - y1 + 1)))
        if x1 <= x <= x2 and y1 <= y <= y2:
            return Refer(thing.box, 'point', (x, y))


def curve(points, steps=12):
    """A smooth line through the points (Catmull-Rom)."""
    out = []
    ends = [points[0]] + points + [points[-1]]
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:]):
        for step in range(steps):
            t = step / steps
            out.append(tuple(.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t ** 3)
                             for p, q, r, s in zip(a, b, c, d)))
    return out + [points[-1]]


def draw_stroke(rng, pen, places, side):
    """A straight line, as of a marker."""
    pen.line([next(places), next(places)], fill=1, width=max(2, round(side * rng.uniform(.08, .2))))


def draw_scribble(rng, pen, places, side):
    """A line that wanders about the object."""
    line = curve([next(places) for _ in range(rng.randint(4, 8))])
    pen.line(line, fill=1, width=max(2, round(side * rng.uniform(.04, .1))), joint='curve')


def draw_polygon(rng, pen, places, side):
    """Corners around one of the object's pixels."""
    x, y = next(places)
    corners, turn = rng.randint(5, 9), rng.uniform(0, 2 * math.pi)
    reach = [side * rng.uniform(.2, .5) for _ in range(corners)]
    pen.polygon([(x + r * math.cos(turn + 2 * math.pi * i / corners), y + r * math.sin(turn + 2 * math.pi * i / corners))
                 for i, r in enumerate(reach)], fill=1)


DRAWERS = {'stroke': draw_stroke, 'scribble': draw_scribble, 'polygon': draw_polygon}


def free_region(rng, mask):
    """A shape drawn inside of the object: its pixels are all pixels of the mask."""
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    x1, y1, x2, y2 = masks.box_of(mask)
    side = min(x2 - x1, y2 - y1) + 1

    def place():
        i = rng.randrange(len(ys))
        return int(xs[i]), int(ys[i])

    shape = rng.choice(sorted(DRAWERS))
    canvas = Image.new('1', (width, height))
    DRAWERS[shape](rng, ImageDraw.Draw(canvas), iter(place, None), side)
    drawn = np.array(canvas) & mask
    if not drawn.any():
        x, y = place()
        drawn[y, x] = True
    return Refer(masks.box_of(drawn), shape, counts=rle.encode(drawn)['counts'])


def refer(rng, thing, width, height):
    """A region of any shape that the thing allows: free-form ones need its mask."""
    mask = None if thing.outline is None else masks.pixels(thing.outline, width, height)
    enough = mask is not None and mask.sum() >= FREE_PIXELS
    shape = rng.choice(['box', 'point', 'free'] if enough else ['box', 'point'])
    if shape == 'free':
        return free_region(rng, mask)
    return box_region(thing) if shape == 'box' else point_region(rng, thing, mask)
