"""Small experiments with a checkpoint on held-out scenes (docs/experiments.md has what they gave).

    python3 -m evaluation.experiments sampler     [--scenes 60]      which regions of one image the sampler tells apart
    python3 -m evaluation.experiments coordinates [--scenes 100]     what coordinates are worth, what the feature is
    python3 -m evaluation.experiments own-boxes   RECORDS TRUTH      names of boxes that the model itself gave

The first two run the reference in PyTorch (python3-torch); the last runs `ferret`.  Measures are shares with the intervals of
evaluation/intervals.py.
"""
import argparse
import json
import os
import random
import sys

import numpy as np

import dialogue
import scenes

from . import drawn, run, score
from .boxes import written
from .intervals import SHARE, Item
from .records import Problem, Records, read_lines

SEEDS = 9               # draws of the sampler for one region: one to classify, the others are its mean


# ---- sampler --------------------------------------------------------------------------------------------------------

def corners(thing):
    return thing.x1, thing.y1, thing.x2 + 1, thing.y2 + 1


def filled(shape, x1, y1, x2, y2):
    mask = np.zeros(shape, bool)
    mask[max(0, y1):y2, max(0, x1):x2] = True
    return mask


def pairs(scene, rng):
    """{name: (mask, mask)} of one scene, bool [height, width]; both of a pair lie about one object or about two."""
    index = rng.randrange(len(scene.things))
    x1, y1, x2, y2 = corners(scene.things[index])
    shape, width, height = scene.owner.shape, x2 - x1, y2 - y1
    box, own = filled(shape, x1, y1, x2, y2), scene.owner == index + 1
    ys, xs = np.mgrid[0:shape[0], 0:shape[1]]
    upper = (ys - y1) * width < (xs - x1) * height                  # right and above of the box's diagonal
    middle = filled(shape, x1 + width // 4, y1 + height // 4, x2 - width // 4, y2 - height // 4)
    found = {'a box and itself': (box, box),
             'a box and its object\'s outline': (box, own),
             'a box and its middle quarter': (box, middle),
             'a box\'s middle quarter and the frame around it': (middle, box & ~middle),
             'the two halves along a box\'s diagonal': (box & upper, box & ~upper),
             'a box and the same one six pixels to the right': (box, filled(shape, x1 + 6, y1, min(x2 + 6, shape[1]), y2)),
             'an outline and every other pixel of it': (own, own & ((xs + ys) % 2 == 0))}
    others = [t for t in scene.things if t.noun != scene.things[index].noun]
    if others:
        found['two objects of different nouns'] = box, filled(shape, *corners(rng.choice(others)))
    twins = [t for t in scene.things if t.noun == scene.things[index].noun and t != scene.things[index]]
    if twins:
        found['two objects of one noun'] = box, filled(shape, *corners(rng.choice(twins)))
    return found


def sampler(options):
    """A region is told from another where a fresh draw's feature is nearer to the mean of its own region's draws than to the
    other's; 50 % is chance."""
    import torch
    from ferret import Ferret
    model, scores = Ferret(options.model), score.Scores()
    for seed in range(run.first_seed(options.seed), run.first_seed(options.seed) + options.scenes):
        scene = scenes.draw(seed)
        with torch.no_grad():
            features = model.tower.features(model.tower.pixels(np.array(scene.image)))
            for name, masks in pairs(scene, random.Random('pairs %d' % seed)).items():
                if not all(mask.any() for mask in masks):
                    continue
                drawn_ = [torch.stack([model.sampler(features, mask.T, model.sampler.select(mask.T, s)) for s in range(k, k + SEEDS)])
                          for k, mask in zip((0, SEEDS), masks)]
                for side, (mine, other) in enumerate((drawn_, drawn_[::-1])):
                    near = (mine[0] - mine[1:].mean(0)).norm() < (mine[0] - other[1:].mean(0)).norm()
                    scores.add(name, SHARE, Item('%d/%s/%d' % (seed, name, side), str(seed), float(near)))
    return scores


# ---- coordinates ----------------------------------------------------------------------------------------------------

def coordinates(options):
    """One object a scene, by box: with both, by coordinates alone, by feature alone; and with the feature of one object and the
    coordinates of another, whose noun is said?"""
    import torch
    from PIL import Image
    from ferret import Ferret
    model, scores = Ferret(options.model), score.Scores()
    ask, see = dialogue.TASKS['describe'], model.tower.features
    hidden = model.weights['model.embed_tokens.weight'][model.config['im_region_fea_token']]

    def noun(image, text, masks, withheld=False):
        sampler_, model.sampler = model.sampler, (Blind(model.sampler, hidden) if withheld else model.sampler)
        said = model.answer(image, [ask.format(region=text)], masks).text
        model.sampler = sampler_
        return drawn.noun_of(said)

    for seed in range(run.first_seed(options.seed), run.first_seed(options.seed) + options.scenes):
        scene, rng = scenes.draw(seed), random.Random('coordinates %d' % seed)
        image, thing = Image.fromarray(scene.image), rng.choice(scene.things)
        with torch.no_grad():
            seen = see(model.tower.pixels(model.tower.squash(image)))
        model.tower.features = lambda _, seen=seen: seen                    # once a scene is enough
        box, own = dialogue.box_text(scene, thing), scenes.NOUNS[thing.noun]
        mask = filled(scene.owner.shape, *corners(thing)).T
        asked = {'feature and coordinates': noun(image, box + ' <region_fea>', [mask]),
                 'coordinates, feature withheld': noun(image, box + ' <region_fea>', [mask], True),
                 'coordinates, no region token': noun(image, box, []),
                 'feature, no coordinates': noun(image, '<region_fea>', [mask])}
        for name, said in asked.items():
            scores.add(name, SHARE, Item(str(seed), str(seed), float(said == own)))
        others = [t for t in scene.things if t.noun != thing.noun]
        if others:
            other = rng.choice(others)
            said = noun(image, dialogue.box_text(scene, other) + ' <region_fea>', [mask])
            scores.add('at odds: the feature\'s noun', SHARE, Item(str(seed), str(seed), float(said == own)))
            scores.add('at odds: the coordinates\' noun', SHARE, Item(str(seed), str(seed), float(said == scenes.NOUNS[other.noun])))
    return scores


class Blind:
    """A sampler that answers with one vector, whatever it sees."""

    def __init__(self, sampler_, vector):
        self.select, self.vector = sampler_.select, vector

    def __call__(self, *_):
        return self.vector


# ---- own boxes ------------------------------------------------------------------------------------------------------

def own_boxes(options):
    """Objects that the model located: named again by the box that it gave, and by the true one."""
    records, jobs, truths = Records([options.records]), [], []
    folder = os.path.dirname(os.path.abspath(options.truth))
    for _, truth in read_lines(options.truth):
        found = []
        for question in truth['questions']:
            given = written(records.text(truth['id'], question['answer_id']) or '') if question['kind'] == 'present' else []
            if given:
                true = written(question['answer'])[0]
                name = next(t['noun'] for t in truth['things'] if tuple(t['box']) == true)
                found.append((question['id'], name, true, given[0]))
        if found:
            boxes = [box for _, _, true, given in found for box in (true, given)]
            regions = [{'box': [min(v, 999) / 1000 for v in box], 'normalised': True} for box in boxes]
            jobs.append({'id': truth['id'], 'image': {'path': os.path.join(folder, truth['file'])}, 'regions': regions,
                         'tasks': [{'id': 'name', 'kind': 'describe'}]})
            truths.append((truth['id'], found))
    answers = annotated(options, jobs)
    scores = score.Scores()
    for image, found in truths:
        for k, (question, name, _, _) in enumerate(found):
            for side, measure in enumerate(('by the true box', 'by the box that it gave')):
                text = answers.text(image, 'name-%d' % (2 * k + side)) or ''
                scores.add(measure, SHARE, Item('%s/%s' % (image, question), image, float(drawn.noun_of(text) == name)))
    return scores


def annotated(options, jobs):
    manifest, out = (os.path.join(options.out, 'own-boxes' + end) for end in ('.jsonl', '-records.jsonl'))
    os.makedirs(options.out, exist_ok=True)
    with open(manifest, 'w') as file:
        file.writelines(json.dumps(job) + '\n' for job in jobs)
    run.annotate(options.ferret, manifest, out, ['--model', options.model])
    return Records([out])


def main():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..')
    parser = argparse.ArgumentParser(prog='python3 -m evaluation.experiments', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    named = parser.add_subparsers(dest='experiment', required=True)
    for name, do, count in (('sampler', sampler, 60), ('coordinates', coordinates, 100), ('own-boxes', own_boxes, None)):
        p = named.add_parser(name, help=do.__doc__)
        p.add_argument('--model', default=os.path.join(root, 'model', 'pretrained'))
        p.set_defaults(do=do)
        if count:
            p.add_argument('--seed', type=int, default=0, help='which held-out scenes [0]')
            p.add_argument('--scenes', type=int, default=count, help='how many [%d]' % count)
        else:
            p.add_argument('records', help='of the scenes that truth.jsonl tells of')
            p.add_argument('truth', help='truth.jsonl')
            p.add_argument('--ferret', default=os.path.join(root, 'build', 'bin', 'ferret'))
            p.add_argument('--out', default=os.path.join(root, 'build', 'eval'), help='folder for manifest and records')
    options = parser.parse_args()
    try:
        scores = options.do(options)
    except Problem as problem:
        print('experiments: %s' % problem, file=sys.stderr)
        return 1
    value = score.document('experiment', scores, None, '', 0, 0)
    print(score.table(('measure', '%', 'low', 'high', 'n', 'interval'), score.rows_of(value)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
