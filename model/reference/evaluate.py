"""Greedy answers on held-out scenes, and how good they are.

    python3 evaluate.py MODEL [scenes=300] [blind=1] [width=640 height=480] [show=1]

Scenes have seeds from 10,000,000 on; training never sees them.  `blind` withholds region features (coordinates only).
Boxes are compared as they are written, in thousandths; every number printed is a percentage.  Every question but the
caption's is its task's own form or a paraphrase that training knew too.
"""
import json
import random
import re
import sys
import warnings
from collections import defaultdict

import numpy as np
import torch

import dialogue
import scenes
from generate import Generator

HELD_OUT = 10000000
TOGETHER = 25
BOX = re.compile(r'\[(\d+), (\d+), (\d+), (\d+)\]')
ASKED = ['box', 'point', 'mask', 'absent', 'yesno', 'yesno', 'count', 'relation', 'locate_many']


def boxes(text):
    return [tuple(map(int, found)) for found in BOX.findall(text)]


def overlap(a, b):
    """Intersection over union of two boxes with inclusive corners in thousandths; a pixel is 1000 / 144 wide."""
    pixel = 1000 / scenes.SIDE
    width = min(a[2], b[2]) - max(a[0], b[0]) + pixel
    height = min(a[3], b[3]) - max(a[1], b[1]) + pixel
    if width <= 0 or height <= 0:
        return 0.
    area = [max(0, v[2] - v[0] + pixel) * max(0, v[3] - v[1] + pixel) for v in (a, b)]
    return width * height / (sum(area) - width * height)


def best(box, candidates):
    return max([overlap(box, c) for c in candidates] or [0.])


def noun_of(phrase):
    """'a small red car' -> 'red car'"""
    return re.sub(r'^(and )?((a|an|the) )?((small|large) )?', '', phrase.strip(' ,.').lower())


def grounded(text):
    """A caption -> [(noun, box)]."""
    found, start = [], 0
    for match in BOX.finditer(text):
        found.append((noun_of(text[start:match.start()]), tuple(map(int, match.groups()))))
        start = match.end()
    return found


def truth_box(scene, thing):
    return boxes(dialogue.box_text(scene, thing))[0]


def locate_questions(rng, scene):
    """Up to two things that are the only one of their noun -> [Turn], truth = the thing."""
    single = [t for t in scene.things if sum(o.noun == t.noun for o in scene.things) == 1]
    return [dialogue.Turn('locate', dialogue.ask(rng, 'locate', phrase=rng.choice([dialogue.name(t), scenes.NOUNS[t.noun]])), '',
                          truth=t) for t in rng.sample(single, min(2, len(single)))]


def questions(rng, scene):
    turns = locate_questions(rng, scene) + [dialogue.make_turn(rng, scene, kind) for kind in ASKED]
    kept = [t for t, kind in zip(turns[-len(ASKED):], ASKED) if t.kind == kind]     # a relation may have become a naming turn
    return turns[:-len(ASKED)] + kept + [dialogue.Turn('caption', dialogue.TASKS['caption'], dialogue.caption(scene))]


def judge(scene, turn, text, score):
    """Adds what this answer is worth to `score`, {measure: [numbers]}."""
    kind, right = turn.kind, text == turn.answer
    if kind == 'locate':
        iou = best(truth_box(scene, turn.truth), boxes(text)[:1])
        score['locate Acc@.5'].append(iou >= .5)
        score['locate mean IoU'].append(iou)
        score['locate false rejection'].append('no ' in text)
        if turn.truth.size == 'small':
            score['locate small Acc@.5'].append(iou >= .5)
    elif kind in dialogue.REGION_KINDS:
        score[kind + ' exact'].append(right)
        score[kind + ' noun'].append(noun_of(text) == noun_of(turn.answer))
    elif kind == 'yesno':
        score['yes' if turn.truth else 'no'].append(right)
    elif kind == 'relation':
        score[kind].append(right if turn.answer == 'Nothing.' else noun_of(text.split('[')[0]) == noun_of(turn.answer.split('[')[0])
                           and best(boxes(turn.answer)[0], boxes(text)) >= .5)
    elif kind == 'locate_many':
        score['locate many'].append(np.mean([best(box, boxes(text)) >= .5 for box in boxes(turn.answer)]))
        score['locate many exact absences'].append(text.split('There')[1:] == turn.answer.split('There')[1:])
    elif kind == 'caption':
        judge_caption(scene, text, score)
    else:
        score[kind].append(right)


def judge_caption(scene, text, score):
    said = grounded(text)
    true = [(scenes.NOUNS[t.noun], truth_box(scene, t)) for t in scene.things]
    for noun, box in true:
        score['caption recall'].append(best(box, [b for n, b in said if n == noun]) >= .5)
    for noun, box in said:
        score['caption precision'].append(best(box, [b for n, b in true if n == noun]) >= .5)
        score['caption hallucination'].append(noun not in [n for n, _ in true])
    score['caption background'].append(
        ' %s %s ' % (dialogue.COLOUR_NAMES[scene.colour], dialogue.TEXTURES[scene.texture]) in text)


def evaluate(folder, count=300, blind=False, show=False, width=scenes.SIDE, height=scenes.SIDE):
    generator, rng, score = Generator(folder), random.Random(7), defaultdict(list)
    for start in range(0, count, TOGETHER):
        drawn = [scenes.draw(HELD_OUT + i, width, height) for i in range(start, min(start + TOGETHER, count))]
        asked = [(i, turn) for i, scene in enumerate(drawn) for turn in questions(rng, scene)]
        features = generator.features(drawn)
        for group in ([a for a in asked if a[1].kind != 'caption'], [a for a in asked if a[1].kind == 'caption']):
            texts = generator.answers(features, [(i, t.question, t.mask) for i, t in group], blind=blind)
            for (i, turn), text in zip(group, texts):
                judge(drawn[i], turn, text, score)
                if show:
                    print('%d | %s | %s | %s' % (start + i, turn.question, turn.answer, text))
    return {name: round(100 * float(np.mean(values)), 1) for name, values in score.items()}


def main(folder, *options):
    warnings.filterwarnings('ignore')
    torch.set_num_threads(1)
    options = {key: int(value) for key, value in (option.split('=') for option in options)}
    count = options.pop('scenes', 300)
    print(json.dumps({'scenes': count, **evaluate(folder, count, **options)}, indent=2))


if __name__ == '__main__':
    main(*sys.argv[1:])
