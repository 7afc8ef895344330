"""Held-out scenes in the forms in which the suites are published, so that every suite runs on something whose answer is known.

    images/N.png                        N: the scene's seed
    refcoco.json                        MDETR's form: an entry for every name that means one object
    flickr30k/                          Sentences, Annotations, test.txt: nouns are phrases, all objects of a noun its boxes
    pope_random.json, ...               POPE's form, an object a line
    lvis.jsonl                          an object a line with point, box and free-form region, and a class of another group
    instances.json, captions.json       COCO's forms
"""
import json
import multiprocessing
import os
import random
import re
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import dialogue
import scenes
from data import rle

from . import drawn

TYPES = {'animal': 'animals', 'vehicle': 'vehicles'}        # of phrases; all others are 'other'


class Shown(NamedTuple):
    """One scene as everything below needs it; small enough to come back from another process."""
    id: int
    width: int
    height: int
    things: list            # scenes.Thing
    masks: list             # COCO's run lengths, one a thing
    caption: str
    objects: list           # lines of lvis.jsonl
    yesno: list             # (sampling, question, label)


def xyxy(thing):
    """Corners as a continuous box: the last pixel is inside."""
    return [thing.x1, thing.y1, thing.x2 + 1, thing.y2 + 1]


def xywh(thing):
    return [thing.x1, thing.y1, thing.x2 - thing.x1 + 1, thing.y2 - thing.y1 + 1]


def object_line(rng, scene, seed, index):
    """The line of lvis.jsonl for one thing."""
    thing, (height, width) = scene.things[index], scene.owner.shape
    group = scenes.GROUP_OF[thing.noun]
    here = {t.noun for t in scene.things}
    other = rng.choice([n for n in range(len(scenes.NOUNS)) if n not in here and scenes.GROUP_OF[n] != group])
    mask, _ = dialogue.region(rng, scene, index, 'mask')
    _, text = dialogue.region(rng, scene, index, 'point')
    turn = dialogue.Turn('point', text, '', mask)
    ys, xs = np.nonzero(mask)
    return {'id': '%d-%d' % (seed, index), 'image_path': '%d.png' % seed, 'width': width, 'height': height,
            'name': scenes.NOUNS[thing.noun].replace(' ', '_'), 'synonyms': [], 'neg_class': scenes.NOUNS[other].replace(' ', '_'),
            'bbox': xywh(thing), 'bbox_norm': [v / s for v, s in zip(thing[2:], (width, height, width, height))],
            'sample_point': drawn.region_of(turn)['point'],
            'free_shape_bbox_raw': [int(v) for v in (xs.min(), ys.min(), xs.max(), ys.max())],
            'free_shape_segment_mask': mask.T.astype(int).tolist()}


def show(folder, seed, popular):
    scene = scenes.draw(seed)
    Image.fromarray(scene.image).save(os.path.join(folder, '%d.png' % seed))
    rng = random.Random('published %d' % seed)
    asked = drawn.yesno_turns(rng, {t.noun for t in scene.things}, popular)
    height, width = scene.owner.shape
    return Shown(seed, width, height, scene.things, [rle.encode(scene.owner == i + 1) for i in range(len(scene.things))],
                 re.sub(r' \[[\d, ]+\]', '', dialogue.caption(scene)),
                 [object_line(rng, scene, seed, i) for i in range(len(scene.things))],
                 [(turn.truth, turn.question, 'yes' if turn.answer == 'Yes.' else 'no') for turn in asked])


def referred(shown):
    """Names and nouns that mean exactly one thing -> [(name, thing)]."""
    found = []
    for thing in shown.things:
        for name in dict.fromkeys([dialogue.name(thing), scenes.NOUNS[thing.noun]]):
            if sum(name in (dialogue.name(t), scenes.NOUNS[t.noun]) for t in shown.things) == 1:
                found.append((name, thing))
    return found


def refcoco(all_shown):
    images, annotations = [], []
    for shown in all_shown:
        for name, thing in referred(shown):
            key = len(images)
            images.append({'id': key, 'file_name': '%d.png' % shown.id, 'height': shown.height, 'width': shown.width, 'caption': name,
                           'dataset_name': 'drawn'})
            annotations.append({'id': key, 'image_id': key, 'bbox': xywh(thing), 'area': xywh(thing)[2] * xywh(thing)[3]})
    return {'images': images, 'annotations': annotations}


def sentence(shown):
    nouns = list(dict.fromkeys(t.noun for t in dialogue.left_to_right(shown.things)))
    parts = ['[/EN#%d/%s %s]' % (n, TYPES.get(scenes.GROUP_OF[n], 'other'), scenes.NOUNS[n]) for n in nouns]
    return ' , '.join(parts) + ' in a drawing .'


def annotation(shown):
    objects = ''.join('<object><name>%d</name><bndbox><xmin>%d</xmin><ymin>%d</ymin><xmax>%d</xmax><ymax>%d</ymax></bndbox></object>'
                      % (t.noun, *xyxy(t)) for t in shown.things)
    return ('<annotation><filename>%d.png</filename><size><width>%d</width><height>%d</height><depth>3</depth></size>%s</annotation>'
            % (shown.id, shown.width, shown.height, objects))


def coco(all_shown):
    """-> instances, captions."""
    images = [{'id': s.id, 'file_name': '%d.png' % s.id, 'width': s.width, 'height': s.height} for s in all_shown]
    things = [(s, t, m) for s in all_shown for t, m in zip(s.things, s.masks)]
    instances = [{'id': k + 1, 'image_id': s.id, 'category_id': t.noun + 1, 'bbox': xywh(t), 'segmentation': m, 'iscrowd': 0,
                  'area': int(rle.decode(m).sum())} for k, (s, t, m) in enumerate(things)]
    categories = [{'id': k + 1, 'name': noun, 'supercategory': group}
                  for k, (noun, group) in enumerate(zip(scenes.NOUNS, scenes.GROUP_OF))]
    captions = [{'id': s.id, 'image_id': s.id, 'caption': s.caption} for s in all_shown]
    return ({'images': images, 'annotations': instances, 'categories': categories}, {'images': images, 'annotations': captions})


def pope(all_shown, sampling):
    asked = [(s, question, label) for s in all_shown for name, question, label in s.yesno if name == sampling]
    return [{'question_id': k + 1, 'image': '%d.png' % s.id, 'text': question, 'label': label}
            for k, (s, question, label) in enumerate(asked)]


def save(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        file.write(text)


def lines(values: Any):
    return ''.join(json.dumps(v) + '\n' for v in values)


def write(folder, first, count, processes):
    pictures = os.path.join(folder, 'images')
    os.makedirs(pictures, exist_ok=True)
    with multiprocessing.Pool(processes) as pool:
        popular = drawn.popular_nouns(pool.map(scenes.draw, range(first, first + count), 25))
        shown = pool.starmap(show, [(pictures, seed, popular) for seed in range(first, first + count)], 25)
    instances, captions = coco(shown)
    for name, value in (('refcoco', refcoco(shown)), ('instances', instances), ('captions', captions)):
        save(os.path.join(folder, name + '.json'), json.dumps(value) + '\n')
    for sampling in drawn.SAMPLINGS:
        save(os.path.join(folder, 'pope_%s.json' % sampling), lines(pope(shown, sampling)))
    save(os.path.join(folder, 'lvis.jsonl'), lines(line for s in shown for line in s.objects))
    for s in shown:
        save(os.path.join(folder, 'flickr30k', 'Sentences', '%d.txt' % s.id), sentence(s) + '\n')
        save(os.path.join(folder, 'flickr30k', 'Annotations', '%d.xml' % s.id), annotation(s) + '\n')
    save(os.path.join(folder, 'flickr30k', 'test.txt'), lines(s.id for s in shown))
