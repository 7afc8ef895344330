"""The sample corpus of `make demo`: drawn scenes that the default model never saw, saved in as many formats as archives hold,
some that are hard, one file that is broken, and a manifest that asks about them. The results stand in files/ and manifest.jsonl, so only who changes
the corpus runs this (Debian's python3-pil, python3-numpy, fonts-noto-color-emoji).

    python3 tests/e2e/corpus/make_corpus.py
"""
import json
import os
import sys
from collections import Counter

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', '..', 'model', 'reference'))
import dialogue  # noqa: E402
import scenes  # noqa: E402

FILES = os.path.join(HERE, 'files')
FIRST_SEED = 7_000_000  # apart from training and evaluation


def jpeg(path, image, **options):
    image.save(path, quality=90, **options)


def turned_jpeg(path, image):
    """Stored lying on its side, with EXIF orientation 6: a viewer turns it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.ROTATE_90).save(path, quality=90, exif=exif)


def with_alpha(path, image):
    """The picture behind a soft round mask: what is transparent shows the background of whoever composites it."""
    width, height = image.size
    y, x = np.mgrid[0:height, 0:width]
    far = np.hypot((x - width / 2) / (width / 2), (y - height / 2) / (height / 2))
    alpha = (np.clip((1.45 - far) / .15, 0, 1) * 255).astype(np.uint8)
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    image.save(path, optimize=True)


def sixteen_bit_gray(path, image):
    gray = np.asarray(image.convert('L')).astype(np.uint16) * 257
    Image.fromarray(gray).save(path)


def broken(path, image):
    """A JPEG of which a quarter arrived."""
    image.save(path, format='JPEG', quality=90)
    whole = os.path.getsize(path)
    os.truncate(path, whole // 4)


ENTRIES = [  # name, width, height, how it is saved
    ('landscape.jpg', 480, 320, jpeg),
    ('upright by EXIF.jpg', 300, 400, turned_jpeg),
    ('square.png', 288, 288, lambda p, i: i.save(p, optimize=True)),
    ('alpha.png', 240, 240, with_alpha),
    ('scene.webp', 432, 432, lambda p, i: i.save(p, quality=90)),
    ('scan.tiff', 200, 150, lambda p, i: i.save(p, compression='tiff_deflate')),
    ('indexed.gif', 216, 216, lambda p, i: i.quantize(128).save(p)),
    ('palette.png', 240, 180, lambda p, i: i.quantize(64).save(p, optimize=True)),
    ('gray 16 bit.png', 160, 160, sixteen_bit_gray),
    ('progressive.jpg', 600, 400, lambda p, i: jpeg(p, i, progressive=True)),
    ('ménagerie.jpg', 320, 240, jpeg),
    ('猫と犬.jpg', 288, 216, jpeg),
    ("it's \"quoted\".jpg", 288, 288, jpeg),
    ('png inside.jpg', 180, 180, lambda p, i: i.save(p, format='PNG', optimize=True)),
    ('tall.jpg', 200, 400, jpeg),
    ('tiny.png', 72, 72, lambda p, i: i.save(p, optimize=True)),
    ('broken.jpg', 320, 240, broken),
]


def covered(scene):
    """Share of the box of the most hidden thing that another's box covers."""
    def share(a, b):
        width, height = min(a.x2, b.x2) - max(a.x1, b.x1), min(a.y2, b.y2) - max(a.y1, b.y1)
        return max(0, width) * max(0, height) / ((a.x2 - a.x1 + 1) * (a.y2 - a.y1 + 1))

    return max([share(a, b) for a in scene.things for b in scene.things if a is not b] or [0.])


def repeated(scene):
    return len(scene.things) - len({thing.noun for thing in scene.things})


# What the model finds hard, each the hardest of 200 scenes: name, width, height, how hard a scene is.
HARD = [
    ('crowded.png', 288, 288, lambda scene: (len(scene.things), -abs(repeated(scene) - 1))),
    ('the same again.png', 288, 288, lambda scene: (repeated(scene), len(scene.things))),
    ('occluded.png', 288, 288, covered),
    ('small objects.png', 360, 240, lambda scene: sum(thing.size == 'small' for thing in scene.things) / (len(scene.things) + 1)),
]


def hard_scene(number, width, height, hardness):
    """-> seed, scene"""
    seeds = range(FIRST_SEED + 1000 * (number + 1), FIRST_SEED + 1000 * (number + 1) + 200)
    return max(((seed, scenes.draw(seed, width, height)) for seed in seeds), key=lambda pair: hardness(pair[1]))


def absent(scene, seed):
    present = {thing.noun for thing in scene.things}
    return next(noun for noun in np.random.default_rng(seed).permutation(len(scenes.NOUNS)) if noun not in present)


def hard_tasks(scene, seed):
    """Caption; everything and something absent at once; how many; what is beside the first object; what all the objects are."""
    counts = Counter(scenes.NOUNS[thing.noun] for thing in scene.things)
    often = counts.most_common(1)[0][0]
    return [{'kind': 'caption'},
            {'id': 'all', 'kind': 'locate', 'phrases': list(counts) + [scenes.NOUNS[absent(scene, seed)]]},
            {'id': 'how many', 'kind': 'ask', 'question': 'How many %s are there?' % dialogue.plural(often)},
            {'id': 'left of it', 'kind': 'ask', 'question': 'What is left of the object {region0}?'},
            {'kind': 'describe'}]


def tasks(scene, seed):
    """Caption; where the first noun is, and one that is not there; what two of the objects are."""
    nouns = list(dict.fromkeys(scenes.NOUNS[t.noun] for t in scene.things))
    return [{'kind': 'caption'},
            {'id': 'present', 'kind': 'locate', 'phrases': nouns[:1]},
            {'id': 'absent', 'kind': 'locate', 'phrases': [scenes.NOUNS[absent(scene, seed)]]},
            {'kind': 'describe'}]


def regions(scene, boxes=2):
    out = [{'id': 'box-%d' % i, 'box': [t.x1, t.y1, t.x2, t.y2]} for i, t in enumerate(scene.things[:boxes])]
    ys, xs = np.nonzero(scene.owner == len(scene.things))
    middle = np.argmin(np.hypot(xs - xs.mean(), ys - ys.mean()))
    return out + [{'id': 'point', 'point': [int(xs[middle]), int(ys[middle])]}]


def main():
    os.makedirs(FILES, exist_ok=True)
    with open(os.path.join(HERE, 'manifest.jsonl'), 'w', encoding='utf-8') as manifest:
        for number, (name, width, height, save) in enumerate(ENTRIES):
            seed = FIRST_SEED + number
            scene = scenes.draw(seed, width, height)
            save(os.path.join(FILES, name), Image.fromarray(scene.image))
            line = {'id': name, 'image': 'files/' + name, 'regions': regions(scene), 'tasks': tasks(scene, seed)}
            manifest.write(json.dumps(line, ensure_ascii=False) + '\n')
        for number, (name, width, height, hardness) in enumerate(HARD):
            seed, scene = hard_scene(number, width, height, hardness)
            Image.fromarray(scene.image).save(os.path.join(FILES, name), optimize=True)
            line = {'id': name, 'image': 'files/' + name, 'regions': regions(scene, 5), 'tasks': hard_tasks(scene, seed)}
            manifest.write(json.dumps(line, ensure_ascii=False) + '\n')


if __name__ == '__main__':
    main()
