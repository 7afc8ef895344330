"""Scenes drawn from seeds (scenes.py), written as PNG files when they are first read."""
import os

from PIL import Image

import scenes
from data.facts import Facts, Thing
from data.readers.folders import NotThere


class Drawn:
    name = 'scenes'

    def __init__(self, root, first_seed, count):
        if not os.path.exists(scenes.FONT):
            raise NotThere('%s: not there (package fonts-noto-color-emoji)' % scenes.FONT)
        self.root, self.seeds = root, range(first_seed, first_seed + count)
        os.makedirs(root, exist_ok=True)

    def open(self):
        """Nothing: scenes are drawn as they are asked for."""

    def facts(self):
        nouns = frozenset(scenes.NOUNS)
        for seed in self.seeds:
            scene, name = scenes.draw(seed), 'scene-%08d.png' % seed
            path = os.path.join(self.root, name)
            if not os.path.exists(path):
                Image.fromarray(scene.image).save(path + '.tmp', 'PNG', optimize=True)
                os.rename(path + '.tmp', path)
            height, width = scene.owner.shape
            things = tuple(Thing(scenes.NOUNS[t.noun], (t.x1, t.y1, t.x2, t.y2), scene.owner == i + 1, (t.size,) if t.size else ())
                           for i, t in enumerate(scene.things))
            here = frozenset(thing.name for thing in things)
            yield Facts(str(seed), name, (width, height), things, complete=nouns, absent=nouns - here)
