"""Questions about drawn scenes and their true answers."""
import random
from typing import Any, NamedTuple, Optional

import numpy as np

from prompt import region_text, render
from scenes import COLOUR_NAMES, GROUP_OF, NOUNS, TEXTURES

TEMPLATE = {'system': 'A drawing.', 'roles': ['USER', 'ASSISTANT'], 'separators': [' ', '</s>']}
TASKS = {
    'caption': 'Describe the image and give the coordinates.',
    'describe': 'What is the object {region}?',
    'locate': 'Where is the {phrase}?',
    'locate_many': 'Where are {phrases}?',
}
PARAPHRASES = {
    'caption': ['Describe this image with boxes.', 'What is in the image? Give the coordinates.'],
    'describe': ['What is in the region {region}?', 'Describe the region {region}.'],
    'locate': ['Locate the {phrase}.', 'Find the {phrase}.'],
    'locate_many': ['Locate {phrases}.', 'Find {phrases}.'],
}
KINDS = ['caption', 'box', 'point', 'mask', 'locate', 'locate_many', 'absent', 'yesno', 'count', 'relation']
REGION_KINDS = ['box', 'point', 'mask']
NUMBERS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six']
DIRECTIONS = ['left of', 'right of', 'above', 'below']


class Turn(NamedTuple):
    kind: str
    question: str
    answer: str
    mask: Optional[np.ndarray] = None     # bool [height, width]: the region in the question
    subject: Optional[int] = None         # the thing that this region shows, where naming it is the whole answer
    truth: Any = None                     # what evaluation compares with


def plural(noun):
    if noun in ('sheep', 'fish'):
        return noun
    if noun.endswith('rry'):
        return noun[:-1] + 'ies'
    return noun + ('es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's')


def with_article(phrase):
    return ('an ' if phrase[0] in 'aeiou' else 'a ') + phrase


def name(thing):
    """'small red car'"""
    return (thing.size + ' ' + NOUNS[thing.noun]).strip()


def coordinates(scene, *pixels):
    """x, y, x, y ... in pixels -> '[17, 24, 310, 98]'."""
    height, width = scene.owner.shape
    return region_text(pixels, width, height)


def box_text(scene, thing):
    return coordinates(scene, *thing[2:])


def left_to_right(things):
    return sorted(things, key=lambda t: (t.x1 + t.x2, t.y1))


def centre(thing):
    return (thing.x1 + thing.x2) / 2, (thing.y1 + thing.y2) / 2


def listed(items):
    return items[0] if len(items) == 1 else ', '.join(items[:-1]) + ' and ' + items[-1]


def ask(rng, task, **values):
    """The task's own question, or one of its paraphrases."""
    form = TASKS[task] if rng.random() < .7 else rng.choice(PARAPHRASES[task])
    return form.format(**values)


def caption(scene):
    things = left_to_right(scene.things)
    text = listed([with_article(name(t)) + ' ' + box_text(scene, t) for t in things])
    text = '%s on a %s %s background.' % (text[0].upper() + text[1:], COLOUR_NAMES[scene.colour], TEXTURES[scene.texture])
    first, last = things[0], things[-1]
    if name(first) == name(last):
        return text
    (ax, ay), (bx, by) = centre(first), centre(last)
    if bx - ax > 1.3 * abs(by - ay):
        return text + ' The %s is left of the %s.' % (name(first), name(last))
    if abs(by - ay) > 1.3 * (bx - ax):
        return text + ' The %s is %s the %s.' % (name(first), 'above' if by > ay else 'below', name(last))
    return text


def box_region(rng, scene, thing):
    """The thing's box, edges off by up to 6 %."""
    height, width = scene.owner.shape
    w, h = thing.x2 - thing.x1 + 1, thing.y2 - thing.y1 + 1
    x1, y1, x2, y2 = (int(round(v + rng.uniform(-.06, .06) * d)) for v, d in zip(thing[2:], (w, h, w, h)))
    x1, y1 = max(0, x1), max(0, y1)
    x2, y2 = min(width - 1, max(x2, x1 + 3)), min(height - 1, max(y2, y1 + 3))
    mask = np.zeros((height, width), bool)
    mask[y1:y2 + 1, x1:x2 + 1] = True
    return mask, (x1, y1, x2, y2)


def region(rng, scene, index, kind, span=5):
    """-> mask, 'COORDINATES <region_fea>' for a region of this kind that shows things[index]; `span`: a point's window."""
    thing = scene.things[index]
    if kind == 'box':
        mask, pixels = box_region(rng, scene, thing)
    else:
        own = scene.owner == index + 1
        ys, xs = np.nonzero(own)
        i = rng.randrange(len(ys))
        x, y = int(xs[i]), int(ys[i])
        mask = np.zeros_like(own)
        if kind == 'point':
            mask[max(0, y - span):y + span + 1, max(0, x - span):x + span + 1] = True
            pixels = x, y
        else:                                        # free-form: the thing's own pixels inside a random disc
            radius = rng.uniform(.3, 1.2) * max(thing.x2 - thing.x1, thing.y2 - thing.y1)
            near = (xs - x) ** 2 + (ys - y) ** 2 <= radius ** 2
            ys, xs = ys[near], xs[near]
            mask[ys, xs] = True
            pixels = xs.min(), ys.min(), xs.max(), ys.max()
    return mask, coordinates(scene, *pixels) + ' <region_fea>'


def missing_noun(rng, scene):
    """A noun that is not in the scene, half of the time of a group that is."""
    here = {t.noun for t in scene.things}
    group = GROUP_OF[rng.choice(scene.things).noun] if rng.random() < .5 else None
    return rng.choice([n for n in range(len(NOUNS)) if n not in here and group in (None, GROUP_OF[n])])


def absence(noun):
    return 'There is no %s in the image.' % NOUNS[noun]


def caption_turn(rng, scene):
    return Turn('caption', ask(rng, 'caption'), caption(scene))


def describe_turn(rng, scene, kind, span=5):
    index = rng.randrange(len(scene.things))
    mask, text = region(rng, scene, index, kind, span)
    return Turn(kind, ask(rng, 'describe', region=text), with_article(name(scene.things[index])), mask, index)


def locate_turn(rng, scene):
    thing = rng.choice(scene.things)
    phrase = name(thing) if rng.random() < .5 else NOUNS[thing.noun]
    hits = [t for t in left_to_right(scene.things) if phrase in (name(t), NOUNS[t.noun])]
    return Turn('locate', ask(rng, 'locate', phrase=phrase), ' '.join(box_text(scene, t) for t in hits), truth=hits)


def locate_many_turn(rng, scene):
    nouns = list(dict.fromkeys(t.noun for t in rng.sample(scene.things, len(scene.things))))[:rng.choice([2, 2, 3, 4])]
    absent = [missing_noun(rng, scene)] if len(nouns) < 2 or rng.random() < .25 else []
    asked = rng.sample(nouns + absent, len(nouns + absent))
    found = [NOUNS[n] + ' ' + ' '.join(box_text(scene, t) for t in left_to_right(scene.things) if t.noun == n)
             for n in asked if n in nouns]
    answer = ' '.join([', '.join(found) + '.'] + [absence(n) for n in absent])
    question = ask(rng, 'locate_many', phrases=', '.join(NOUNS[n] for n in asked))
    return Turn('locate_many', question, answer, truth=(nouns, absent))


def absent_turn(rng, scene):
    noun = missing_noun(rng, scene)
    return Turn('absent', ask(rng, 'locate', phrase=NOUNS[noun]), absence(noun))


def yesno_turn(rng, scene):
    there = rng.random() < .5
    noun = rng.choice(scene.things).noun if there else missing_noun(rng, scene)
    return Turn('yesno', 'Is there %s in the image?' % with_article(NOUNS[noun]), 'Yes.' if there else 'No.', truth=there)


def count_turn(rng, scene):
    if rng.random() < .15:
        question, count = 'How many objects are there?', len(scene.things)
    else:
        noun = rng.choice(scene.things).noun if rng.random() < .8 else missing_noun(rng, scene)
        question = 'How many %s are there?' % plural(NOUNS[noun])
        count = sum(t.noun == noun for t in scene.things)
    return Turn('count', question, NUMBERS[count].capitalize() + '.', truth=count)


def neighbour(scene, index, direction):
    """The nearest thing in a direction from things[index], by centres along that axis: [] when there is none, [its index],
    or None where that would be a matter of taste."""
    axis, sign = int(direction in ('above', 'below')), 1 if direction in ('left of', 'above') else -1
    here = centre(scene.things[index])[axis]
    gaps = sorted((sign * (here - centre(t)[axis]), t, i) for i, t in enumerate(scene.things) if i != index)
    gaps = [(gap, i) for gap, _, i in gaps if gap > -6]
    if any(gap < 6 for gap, _ in gaps) or len(gaps) > 1 and gaps[1][0] - gaps[0][0] < 6:
        return None
    return [i for _, i in gaps[:1]]


def relation_turn(rng, scene):
    """The nearest thing in a direction; a plain naming turn where the answer would be a matter of taste."""
    index, direction = rng.randrange(len(scene.things)), rng.choice(DIRECTIONS)
    found = neighbour(scene, index, direction)
    if found is None:
        return describe_turn(rng, scene, rng.choice(['box', 'point']))
    mask, text = region(rng, scene, index, 'box')
    answer = 'Nothing.'
    if found:
        nearest = scene.things[found[0]]
        answer = with_article(name(nearest)) + ' ' + box_text(scene, nearest)
    return Turn('relation', 'What is %s the object %s?' % (direction, text), answer, mask)


MAKERS = dict(caption=caption_turn, locate=locate_turn, locate_many=locate_many_turn, absent=absent_turn,
              yesno=yesno_turn, count=count_turn, relation=relation_turn)


def make_turn(rng, scene, kind, span=5):
    return describe_turn(rng, scene, kind, span) if kind in REGION_KINDS else MAKERS[kind](rng, scene)


def opening():
    """The prompt up to the image."""
    return render(TEMPLATE, ['?']).split('<image>')[0]


def closing(question):
    """The prompt from the image to the model's turn."""
    return render(TEMPLATE, [question]).split('<image>')[1]


if __name__ == '__main__':
    import scenes
    for seed in range(3):
        for kind in KINDS:
            turn = make_turn(random.Random(seed), scenes.draw(seed), kind)
            print('%-11s | %s | %s' % (turn.kind, turn.question, turn.answer))
