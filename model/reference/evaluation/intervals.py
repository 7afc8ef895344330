"""Estimates with 95 % intervals.  Items of one image are never taken for independent of each other.

share       every item is right or wrong: Wilson's interval, the number of items divided by the design effect (how much wider
            items of one image make the interval than independent ones would)
ratio       sum of values over sum of weights (means, F1): percentiles of 2,000 bootstrap samples of images
class f1    F1 of precision and recall, each averaged over the classes that there are to recall: the same bootstrap

Differences are paired: the same items, or the same images, of both runs.  Shares of the same items: Agresti and Min's
interval (half a pair is added to each cell, so that no disagreement at all is not taken for certainty), with the design
effect of the differences; everything else: bootstrap of images, the same samples for both runs.
"""
from collections import defaultdict
from typing import NamedTuple

import numpy as np

Z = 1.959963984540054       # 97.5 % quantile of the normal distribution
RESAMPLES = 2000
SHARE, RATIO, CLASS_F1 = 'share', 'ratio', 'class f1'
PRECISION, RECALL = 'precision', 'recall'       # sides of class f1


class Item(NamedTuple):
    id: str                 # unique within its measure
    image: str
    value: float
    weight: float = 1.
    label: str = ''         # class f1: the class; an item of weight 0 only says that there is such a class
    side: str = ''          # class f1: PRECISION or RECALL


class Estimate(NamedTuple):
    """In percent; None where there are no items."""
    value: float
    n: int
    low: float
    high: float
    method: str


def wilson(value, n):
    """Wilson's interval of a share of `n` (which may be no whole number) independent trials."""
    middle = (value + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * np.sqrt(value * (1 - value) / n + Z * Z / (4 * n * n))
    return max(0., middle - half), min(1., middle + half)


def design_effect(values, images):
    """Variance of the mean with items of one image together, over that with all apart; at least 1."""
    off = np.asarray(values, float) - np.mean(values)
    apart = float((off ** 2).sum())
    if apart == 0:
        return 1.
    together = defaultdict(float)
    for difference, image in zip(off, images):
        together[image] += difference
    return max(1., sum(v * v for v in together.values()) / apart)


class Sample:
    """Items as arrays, so that thousands of resamples of images are cheap."""

    def __init__(self, kind, items, images=None):
        self.kind, self.images = kind, sorted({i.image for i in items}) if images is None else images
        place = {image: k for k, image in enumerate(self.images)}
        self.at = np.array([place[i.image] for i in items], int)
        self.value = np.array([i.value for i in items], float)
        self.weight = np.array([i.weight for i in items], float)
        if kind == CLASS_F1:
            labels = {label: k for k, label in enumerate(sorted({i.label for i in items}))}
            self.label = np.array([labels[i.label] for i in items], int)
            self.recalled = np.array([i.side == RECALL for i in items])

    def statistic(self, times):
        """times [images]: how often each image counts."""
        often = times[self.at]
        if self.kind == CLASS_F1:
            classes = np.bincount(self.label, often * self.recalled) > 0
            precision, recall = (self.class_mean(often * side, classes) for side in (~self.recalled, self.recalled))
            return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.
        weight = (often * self.weight).sum()
        return (often * self.value).sum() / weight if weight > 0 else np.nan

    def class_mean(self, often, classes):
        """Of the shares of the given classes (bool); a class without items counts as 0."""
        count = np.bincount(self.label, often * self.weight)
        right = np.bincount(self.label, often * self.value)
        counted = classes & (count > 0)
        return (right[counted] / count[counted]).sum() / max(1, classes.sum())


def resamples(images, seed):
    """Draws of `images` images with repeats: [RESAMPLES] arrays of how often each image was drawn."""
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        yield np.bincount(rng.integers(0, images, images), minlength=images)


def percentiles(draws):
    return np.nanpercentile(draws, [2.5, 97.5])


def estimate(kind, items, seed=0):
    if not items:
        return Estimate(None, 0, None, None, 'none')
    if kind == SHARE:
        values = [i.value for i in items]
        value, effect = float(np.mean(values)), design_effect(values, [i.image for i in items])
        low, high = wilson(value, len(items) / effect)
        method = 'Wilson, design effect %.2f' % effect
    else:
        sample = Sample(kind, items)
        value = float(sample.statistic(np.ones(len(sample.images))))
        low, high = percentiles([sample.statistic(times) for times in resamples(len(sample.images), seed)])
        method = 'bootstrap of %d images' % len(sample.images)
    return Estimate(100 * value, len(items), 100 * float(low), 100 * float(high), method)


class Difference(NamedTuple):
    """b - a in points of a hundred; better and worse: items that only b or only a has right (None where that means nothing)."""
    value: float
    n: int
    low: float
    high: float
    better: int
    worse: int
    method: str


def paired_shares(a, b):
    """a, b: {id: item} of the same ids."""
    ids = sorted(a)
    change = np.array([b[i].value - a[i].value for i in ids])
    better, worse, n = int((change > 0).sum()), int((change < 0).sum()), len(ids)
    effect = design_effect(change, [a[i].image for i in ids])
    padded = n + 2
    middle = (better - worse) / padded
    variance = ((better + worse + 1) / padded - middle ** 2) / padded * effect
    half = Z * np.sqrt(variance)
    return Difference(100 * float(change.mean()), n, 100 * (middle - half), 100 * (middle + half), better, worse,
                      'Agresti-Min, design effect %.2f' % effect)


def difference(kind, a, b, seed=0):
    """a, b: items of one measure in two runs over the same questions -> Difference, or None where a run has no items."""
    if not a or not b:
        return None
    by_id = [{i.id: i for i in items} for items in (a, b)]
    if kind == SHARE and by_id[0].keys() == by_id[1].keys():
        return paired_shares(*by_id)
    images = sorted({i.image for i in a} | {i.image for i in b})
    first, second = Sample(kind, a, images), Sample(kind, b, images)
    ones = np.ones(len(images))
    low, high = percentiles([second.statistic(t) - first.statistic(t) for t in resamples(len(images), seed)])
    return Difference(100 * float(second.statistic(ones) - first.statistic(ones)), len(by_id[0].keys() | by_id[1].keys()),
                      100 * float(low), 100 * float(high), None, None, 'paired bootstrap of %d images' % len(images))
