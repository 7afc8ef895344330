"""Drawn scenes: the whole world that the default model knows.

A scene is one to five emoji (Noto Color Emoji, SIL OFL 1.1) on a coloured, textured background.  Everything about it is
known exactly, so every question that `dialogue.py` asks has a true answer.

    python3 scenes.py pool DIR FIRST_SEED COUNT                   scenes ahead of training, in chunks of 500 (resumable)
    python3 scenes.py files DIR FIRST_SEED COUNT [WIDTH HEIGHT]   scenes as PNG files, and truth.jsonl
    python3 scenes.py sheet FILE.png [FIRST_SEED]                 a contact sheet of 18 scenes
"""
import hashlib
import json
import math
import os
import random
import sys
from functools import lru_cache
from typing import List, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

SIDE = 144
CHUNK = 500
FONT = '/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf'

GROUPS = {
    'animal': '🐈cat 🐕dog 🐎horse 🐄cow 🐖pig 🐑sheep 🐇rabbit 🐘elephant 🐒monkey 🐅tiger 🐢turtle 🐍snake 🐟fish 🐋whale '
              '🐙octopus 🦋butterfly 🐝bee 🐞ladybug 🕷spider 🐌snail 🦀crab 🐓rooster 🐧penguin 🦆duck 🦉owl 🐸frog 🐼panda',
    'vehicle': '🚗red_car 🚙blue_car 🚌bus 🚕taxi 🚚truck 🚒fire_engine 🚜tractor 🚲bicycle 🏍motorcycle 🚂train ✈airplane '
               '🚁helicopter ⛵sailboat 🚀rocket',
    'food': '🍎red_apple 🍏green_apple 🍌banana 🍐pear 🍋lemon 🍓strawberry 🍒cherry 🍍pineapple 🍉watermelon 🥕carrot 🌽corn '
            '🍄mushroom 🍕pizza 🍔hamburger 🍩donut',
    'thing': '🏠house 🌳tree 🌵cactus 🌻sunflower 🌷tulip ☂umbrella 🎈balloon 🎸guitar 🎺trumpet 🥁drum 🔑key ⏰clock 📷camera '
             '📕red_book 📗green_book 📘blue_book ⚽soccer_ball 🏀basketball 👑crown 🎩hat ⭐star ☃snowman 🎁gift ⚓anchor',
}
GLYPHS = [word[0] for words in GROUPS.values() for word in words.split()]
NOUNS = [word[1:].replace('_', ' ') for words in GROUPS.values() for word in words.split()]
GROUP_OF = [group for group, words in GROUPS.items() for _ in words.split()]

COLOURS = {'red': (200, 50, 50), 'orange': (235, 145, 50), 'yellow': (235, 215, 85), 'green': (80, 165, 80),
           'blue': (70, 115, 205), 'purple': (140, 80, 180), 'pink': (240, 165, 200), 'brown': (125, 85, 55),
           'gray': (135, 135, 135), 'white': (240, 240, 240), 'black': (30, 30, 30)}
COLOUR_NAMES = list(COLOURS)
TEXTURES = ['plain', 'gradient', 'noisy', 'striped', 'checkered', 'dotted']
SIZES = {'small': (24, 33), '': (40, 52), 'large': (62, 84)}   # longer side, in 1/144 of the scene's shorter side


class Thing(NamedTuple):
    """One drawn object: index into NOUNS, size word, and its visible box in pixels (inclusive corners)."""
    noun: int
    size: str
    x1: int
    y1: int
    x2: int
    y2: int


class Scene(NamedTuple):
    image: np.ndarray      # uint8 [height, width, 3]
    owner: np.ndarray      # uint8 [height, width]: 0 background, i + 1 for things[i]
    things: List[Thing]
    colour: int            # index into COLOUR_NAMES
    texture: int           # index into TEXTURES

    def mirrored(self):
        width = self.image.shape[1]
        things = [t._replace(x1=width - 1 - t.x2, x2=width - 1 - t.x1) for t in self.things]
        return self._replace(image=self.image[:, ::-1], owner=self.owner[:, ::-1], things=things)


@lru_cache(maxsize=1)
def sprites():
    """The glyphs of all nouns as tightly cropped RGBA images."""
    font, out = ImageFont.truetype(FONT, 109), []
    for glyph in GLYPHS:
        canvas = Image.new('RGBA', (160, 160))
        ImageDraw.Draw(canvas).text((5, 5), glyph, font=font, embedded_color=True)
        out.append(canvas.crop(canvas.getbbox()))
    return out


def pattern(rng, texture, width, height):
    """A texture's brightness offsets, float32 [height, width]."""
    unit = min(width, height) / SIDE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / unit
    angle = rng.uniform(0, 2 * math.pi)
    ramp = x * math.cos(angle) + y * math.sin(angle)
    kind = TEXTURES[texture]
    if kind == 'gradient':
        offset = ramp / SIDE * rng.uniform(28, 45)
        return offset - offset.mean()
    if kind == 'noisy':
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal((height, width), np.float32)
        return noise * rng.uniform(10, 18)
    if kind == 'striped':
        period = rng.uniform(10, 22)
        return np.sign(np.sin(ramp * 2 * math.pi / period)) * rng.uniform(11, 18)
    if kind == 'checkered':
        cell, shift = rng.randint(8, 18), rng.randrange(8)
        return np.where(((x + shift) // cell + (y + shift) // cell) % 2 > 0, 1., -1.) * rng.uniform(11, 18)
    if kind == 'dotted':
        period = rng.uniform(12, 20)
        radius, shift = rng.uniform(.25, .38) * period, rng.uniform(0, period)
        distance2 = ((x + shift) % period - period / 2) ** 2 + ((y + shift) % period - period / 2) ** 2
        return np.where(distance2 < radius * radius, 1., -.3) * rng.uniform(16, 24)
    return np.zeros((height, width), np.float32)


def background(rng, width, height):
    """-> image uint8 [height, width, 3], colour, texture."""
    colour, texture = rng.randrange(len(COLOURS)), rng.randrange(len(TEXTURES))
    base = np.array(COLOURS[COLOUR_NAMES[colour]], np.float32) + [rng.uniform(-14, 14) for _ in range(3)]
    image = base + pattern(rng, texture, width, height)[..., None]
    return np.clip(image, 0, 255).astype(np.uint8), colour, texture


def pose(rng, noun, length, stretch):
    """A glyph scaled to `length` pixels, squeezed, maybe mirrored and turned: RGBA, tightly cropped."""
    sprite = sprites()[noun]
    scale = length / max(sprite.size)
    size = [max(4, round(s * scale * f)) for s, f in zip(sprite.size, (stretch, 1 / stretch))]
    sprite = sprite.resize(size, Image.BOX if scale < .5 else Image.BILINEAR)
    if rng.random() < .5:
        sprite = sprite.transpose(Image.FLIP_LEFT_RIGHT)
    if rng.random() < .6:
        sprite = sprite.rotate(rng.uniform(-22, 22), Image.BICUBIC, expand=True)
    return sprite.crop(sprite.getbbox())


def place(rng, sprite, owner, areas):
    """Try one random place: -> (x, y, new owner map, visible area), or None where it would be cut or hide too much."""
    (height, width), (w, h) = owner.shape, sprite.size
    if w >= width or h >= height:
        return None
    x, y = rng.randint(-w // 10, width - w + w // 10), rng.randint(-h // 10, height - h + h // 10)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
    solid = np.asarray(sprite)[y0 - y:y1 - y, x0 - x:x1 - x, 3] > 127
    new = owner.copy()
    new[y0:y1, x0:x1][solid] = len(areas) + 1
    left = np.bincount(new.ravel(), minlength=len(areas) + 2)[1:]
    hidden = [left[i] / area for i, area in enumerate(areas)]
    if solid.sum() < 60 or any(part < .62 for part in hidden):
        return None
    if rng.random() < .75 and any(part < .97 for part in hidden):
        return None
    return x, y, new, int(solid.sum())


def draw(seed, width=SIDE, height=SIDE):
    """The scene with this seed."""
    rng = random.Random(seed)
    array, colour, texture = background(rng, width, height)
    image, owner = Image.fromarray(array), np.zeros((height, width), np.uint8)
    unit = min(width, height) / SIDE
    stretch = 1. if rng.random() < .7 else math.exp(rng.uniform(-.16, .16))
    count, repeat = rng.choices([1, 2, 3, 4, 5], [12, 26, 30, 20, 12])[0], rng.random() < .3
    drawn, areas = [], []
    for _ in range(count):
        for _ in range(12):
            noun = drawn[0][0] if repeat and drawn and rng.random() < .6 else rng.randrange(len(NOUNS))
            size = rng.choices(list(SIZES), [34, 40, 26])[0]
            if size == 'large' and sum(s == 'large' for _, s in drawn) >= 2:
                continue
            sprite = pose(rng, noun, rng.uniform(*SIZES[size]) * unit, stretch)
            placed = place(rng, sprite, owner, areas)
            if placed is None:
                continue
            x, y, owner, area = placed
            rgb = ImageEnhance.Brightness(sprite.convert('RGB')).enhance(rng.uniform(.78, 1.18))
            image.paste(rgb, (x, y), sprite.getchannel('A'))
            drawn.append((noun, size))
            areas.append(area)
            break
        else:
            break
    things = []
    for i, (noun, size) in enumerate(drawn):
        ys, xs = np.nonzero(owner == i + 1)
        things.append(Thing(noun, size, int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())))
    return Scene(np.asarray(image), owner, things, colour, texture)


def write_pool(folder, first_seed, count):
    """Chunk k holds the scenes with seeds first_seed + 500 k ...; a chunk that exists is kept."""
    os.makedirs(folder, exist_ok=True)
    for start in range(first_seed, first_seed + count, CHUNK):
        path = os.path.join(folder, 'scenes-%08d' % start)
        if os.path.exists(path + '.json'):
            continue
        scenes = [draw(seed) for seed in range(start, start + CHUNK)]
        np.save(path + '.npy', np.stack([np.dstack([s.image, s.owner]) for s in scenes]))
        with open(path + '.tmp', 'w') as file:
            json.dump([[s.things, s.colour, s.texture] for s in scenes], file)
        os.rename(path + '.tmp', path + '.json')


class Pool:
    """Scenes drawn ahead of time, as many as there were when it was opened."""

    def __init__(self, folder):
        self.chunks = []
        for name in sorted(os.listdir(folder)):
            if name.endswith('.json'):
                path = os.path.join(folder, name[:-5])
                with open(path + '.json') as file:
                    self.chunks.append((np.load(path + '.npy', mmap_mode='r'), json.load(file)))

    def __len__(self):
        return CHUNK * len(self.chunks)

    def digest(self):
        """sha256 over all pixels, owners and facts, the first 16 digits: the same scenes give the same."""
        whole = hashlib.sha256()
        for pixels, facts in self.chunks:
            whole.update(np.ascontiguousarray(pixels).data)
            whole.update(json.dumps(facts).encode())
        return whole.hexdigest()[:16]

    def __getitem__(self, index):
        pixels, facts = self.chunks[index // CHUNK]
        pixels, (things, colour, texture) = np.array(pixels[index % CHUNK]), facts[index % CHUNK]
        return Scene(pixels[..., :3], pixels[..., 3], [Thing(*t) for t in things], colour, texture)


def sheet(path, first_seed=0):
    canvas = Image.new('RGB', (SIDE * 6, SIDE * 3))
    for i in range(18):
        canvas.paste(Image.fromarray(draw(first_seed + i).image), (i % 6 * SIDE, i // 6 * SIDE))
    canvas.save(path)


def write_files(folder, first_seed, count, width=SIDE, height=SIDE):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, 'truth.jsonl'), 'w') as truth:
        for seed in range(first_seed, first_seed + count):
            scene, name = draw(seed, width, height), 'scene-%08d.png' % seed
            Image.fromarray(scene.image).save(os.path.join(folder, name), optimize=True)
            things = [{'noun': NOUNS[t.noun], 'size': t.size, 'box': t[2:]} for t in scene.things]
            truth.write(json.dumps({'file': name, 'things': things, 'colour': COLOUR_NAMES[scene.colour],
                                    'texture': TEXTURES[scene.texture]}) + '\n')


if __name__ == '__main__':
    command, path, numbers = sys.argv[1], sys.argv[2], map(int, sys.argv[3:])
    {'pool': write_pool, 'files': write_files, 'sheet': sheet}[command](path, *numbers)
