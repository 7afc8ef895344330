"""Annotation files in which anything may stand anywhere: what is wrong is left out, and a build goes on."""
import json
import os
import pickle
import random
import shutil
import tempfile
import unittest

from data import builder, records, small_sets
from data.problems import Problems
from data.readers.coco import Coco
from data.readers.flickr30k import Flickr30k
from data.readers.refcoco import RefCoco
from data.readers.visual_genome import VisualGenome

RUNS = 40                # of each source
VALUES = [None, -1, 0, 3.5, 1e308, float('nan'), float('inf'), 10 ** 30, '', 'x', '7', [], {}, [[]], [None], {'a': 1}, True, 'a' * 50,
          [1, 2, 3, 4, 5, 6], {'counts': '\n', 'size': [90, 120]}, {'counts': [1], 'size': [1]}, {'counts': [1 << 40], 'size': [1 << 20, 1 << 20]}]


def spoiled(value, rng):
    """The value with something else at one place."""
    if isinstance(value, (dict, list)) and value and rng.random() < .93:
        value = value.copy()
        place = rng.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        if rng.random() < .1:
            del value[place]
        else:
            value[place] = spoiled(value[place], rng)
        return value
    return rng.choice(VALUES)


def spoil(path, rng):
    if path.endswith('.json'):
        with open(path) as file:
            value = json.load(file)
        with open(path, 'w') as file:
            json.dump(spoiled(value, rng), file)
    elif path.endswith('.p'):
        with open(path, 'rb') as file:
            value = pickle.load(file)
        with open(path, 'wb') as file:
            pickle.dump(spoiled(value, rng), file)
    else:
        with open(path, 'rb') as file:
            text = bytearray(file.read())
        for _ in range(4):
            text[rng.randrange(len(text))] = rng.randrange(256)
        with open(path, 'wb') as file:
            file.write(text)


class Hostile(unittest.TestCase):
    def goes_on(self, make, source):
        with tempfile.TemporaryDirectory() as folder:
            make(os.path.join(folder, 'sound'))
            for seed in range(RUNS):
                rng, here = random.Random(seed), os.path.join(folder, 'spoiled')
                shutil.rmtree(here, ignore_errors=True)
                shutil.copytree(os.path.join(folder, 'sound'), here)
                files = sorted(os.path.join(place, name) for place, _, names in os.walk(here) for name in names
                               if name.endswith(('.json', '.p', '.xml')) or place.endswith('Sentences'))
                for _ in range(rng.randint(1, 3)):
                    spoil(rng.choice(files), rng)
                problems = Problems()
                with self.subTest(seed=seed):
                    for record in builder.SourceBuild(source(here, problems), builder.Options(seed), problems).records():
                        records.check(record)

    def test_coco(self):
        self.goes_on(lambda folder: small_sets.coco(folder, 2), lambda folder, problems: Coco('coco', folder, problems))

    def test_lvis(self):
        self.goes_on(small_sets.lvis, lambda folder, problems: Coco('lvis', folder, problems))

    def test_visual_genome(self):
        self.goes_on(small_sets.visual_genome, VisualGenome)

    def test_refcoco(self):
        self.goes_on(small_sets.refcoco, RefCoco)

    def test_refcoco_of_mdetr(self):
        self.goes_on(small_sets.mdetr, RefCoco)

    def test_flickr30k(self):
        self.goes_on(small_sets.flickr30k, Flickr30k)


if __name__ == '__main__':
    unittest.main()
