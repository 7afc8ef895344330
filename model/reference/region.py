"""Which pixels of a region the sampler looks at (specification 4.4 to 4.6, and masks of 5.2).

All randomness is torch's CPU generator, MT19937, seeded anew for every region; all distances are exact integers; ties go to
the lowest index.  Masks are bool [width, height], as in the published code.
"""
import math
from typing import List, NamedTuple

import numpy as np


class Selection(NamedTuple):
    xy: np.ndarray               # int64 [points, 2]: chosen pixels
    chosen: np.ndarray           # int64 [points]: the same, as indices among the mask's pixels, x-major
    count: int                   # pixels in the mask
    starts: List[int]            # first centre of each stage
    centres: List[np.ndarray]    # per stage [m]: farthest points, indices into the points before it
    neighbours: List[np.ndarray]  # per stage [m, k]: nearest points of each centre


def point_mask(x, y, width, height, span=5):
    mask = np.zeros((width, height), bool)
    mask[max(0, x - span):x + span + 1, max(0, y - span):y + span + 1] = True
    return mask


def box_mask(box, width, height):
    """Inclusive corners; what lies outside of the image is cut."""
    x1, y1, x2, y2 = box
    mask = np.zeros((width, height), bool)
    mask[x1:x2 + 1, y1:y2 + 1] = True
    return mask


def choose(count, wanted, draw):
    """Indices of `wanted` pixels out of `count`: the head of torch.randperm, or all of them and random repeats."""
    if count <= wanted:
        return np.concatenate([np.arange(count), draw(wanted - count) % count])
    jumps = draw(count - 1)
    moved, chosen = {}, []
    for i in range(wanted):
        j = i + int(jumps[i]) % (count - i)
        chosen.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return np.array(chosen)


def farthest(lattice, wanted, start):
    distance, centres = np.full(len(lattice), np.iinfo(np.int64).max), [start]
    while len(centres) < wanted:
        distance = np.minimum(distance, ((lattice - lattice[centres[-1]]) ** 2).sum(1))
        centres.append(int(distance.argmax()))
    return np.array(centres)


def nearest(lattice, centres, wanted):
    distance = ((lattice[centres][:, None] - lattice[None]) ** 2).sum(-1)
    return np.argsort(distance, axis=1, kind='stable')[:, :wanted]


def select(mask, seed, points, stages, neighbors):
    """The sampler's choices for one region."""
    width, height = mask.shape
    pixels = np.flatnonzero(mask)
    if not len(pixels):
        raise ValueError('the region holds no pixel')
    generator = np.random.RandomState(seed % 2 ** 32)

    def draw(count):
        return generator.randint(0, 2 ** 32, count, np.uint32).astype(np.int64)

    chosen = choose(len(pixels), points, draw)
    xy = np.stack([pixels[chosen] // height, pixels[chosen] % height], 1).astype(np.int64)
    common = math.gcd(width, height)
    lattice = xy * [height // common, width // common]       # distances as in (x / W, y / H), times a constant
    starts, centres, near = [], [], []
    for wanted, k in zip(stages, neighbors):
        starts.append(int(draw(1)[0]) % len(lattice))
        centres.append(farthest(lattice, wanted, starts[-1]))
        near.append(nearest(lattice, centres[-1], k))
        lattice = lattice[centres[-1]]
    return Selection(xy, chosen, len(pixels), starts, centres, near)
