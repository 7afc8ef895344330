"""Scenes and conversations as tensors.  B images, N = grid * grid patches."""
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from scenes import SIDE, SIZES

SIZE_WORDS = list(SIZES)


def coordinate(pixel, side=SIDE):
    """The text value of a pixel coordinate (specification 5.1)."""
    return int(pixel * (1000. / side))


def augmented(rng, scene):
    """Half of all scenes mirrored; a quarter seen through another resolution, as files of other sizes will be."""
    if rng.random() < .5:
        scene = scene.mirrored()
    if rng.random() < .25:
        other = rng.randint(100, 320), rng.randint(100, 320)
        image = Image.fromarray(np.ascontiguousarray(scene.image)).resize(other, Image.BICUBIC)
        scene = scene._replace(image=np.asarray(image.resize((SIDE, SIDE), Image.BICUBIC)))
    return scene


def patch_targets(scene, grid):
    """What the patches show.  owner [N]: 0, or i + 1 where things[i] covers an eighth of the patch and more than any other;
    noun [N] likewise (0 = background); size_word [N]; box [N, 4]; digits [N, 4, 3]."""
    side = SIDE // grid
    cells = scene.owner.reshape(grid, side, grid, side).transpose(0, 2, 1, 3).reshape(grid * grid, side * side)
    covered = np.stack([(cells == i + 1).sum(1) for i in range(len(scene.things))], 1)
    top, on = covered.argmax(1), covered.max(1) >= side * side // 8
    boxes = np.array([t[2:] for t in scene.things])
    digits = np.array([[[int(d) for d in '%03d' % coordinate(v)] for v in box] for box in boxes])
    return dict(owner=(top + 1) * on, noun=np.array([t.noun + 1 for t in scene.things])[top] * on,
                size_word=np.array([SIZE_WORDS.index(t.size) for t in scene.things])[top],
                box=boxes[top], digits=digits[top])


def image_batch(pool, rng, count, grid):
    """-> the scenes, and a namespace of tensors: image [B, side, side, 3] uint8, background [B, 2], patch targets [B, N, ..]."""
    scenes = [augmented(rng, pool[rng.randrange(len(pool))]) for _ in range(count)]
    targets = [patch_targets(scene, grid) for scene in scenes]
    batch = SimpleNamespace(
        image=torch.from_numpy(np.stack([s.image for s in scenes])),
        background=torch.tensor([[s.colour, s.texture] for s in scenes]),
        **{name: torch.from_numpy(np.stack([t[name] for t in targets])).long() for name in targets[0]})
    return scenes, batch
