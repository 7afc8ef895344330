"""Held-out drawn scenes: questions with known answers, and what an answer is worth.  The one definition of the model card's
measures: `make eval` judges the C engine by it, `evaluate.py` the network in training.

A scene's truth is a plain object, one line of truth.jsonl:
    {"id", "file", "width", "height", "colour", "texture", "things": [{"noun", "size", "box": thousandths}],
     "questions": [{"id", "answer_id", "kind", "question", "answer", ...}]}
`question` is the text as a person reads it (no region token), `answer` the true one, `answer_id` its place in the record.
Boxes are compared as they are written, in thousandths, with corners inclusive.
"""
import os
import random
import re
from collections import Counter

import numpy as np
from PIL import Image

import dialogue
import scenes
from data import rle

from .boxes import best, mentions, written
from .intervals import RATIO, SHARE, Item

VALIDATION = 10000000       # first seed of the scenes that choices are made on; training's are below
TEST = 20000000             # first seed of the scenes that numbers are published of
PER_SEED = 100000           # scenes of one SEED
SAMPLINGS = ['random', 'popular', 'adversarial']
POPULAR = 20                # nouns that count as popular
HIT = .5
NO = re.compile(r'\bno\b', re.I)
ARTICLE = re.compile(r'^(and )?((a|an|the) )?')
SIZE = re.compile('^(%s) ' % '|'.join(filter(None, scenes.SIZES)))
REGION = re.compile(r'\[[\d, ]+\] <region_fea>')

# What the model card promises; everything else that is measured is only told.
MEASURES = ['rec_acc', 'rec_small', 'rec_iou', 'reject_present', 'reject_absent', 'refer_box', 'refer_point', 'refer_mask',
            'caption_recall', 'caption_precision', 'hallucination', 'yesno', 'count', 'relation', 'phrases']
KINDS = dict.fromkeys(['rec_iou', 'phrases'], RATIO)      # all others are shares


def kind_of(measure):
    return KINDS.get(measure, SHARE)


# ---- questions ------------------------------------------------------------------------------------------------------

def pattern(task):
    """The task's question as a pattern, its variable part as group 1."""
    before, after = re.split(r'\{[a-z]+\}', dialogue.TASKS[task])
    return re.compile(re.escape(before) + '(.+)' + re.escape(after))


def region_of(turn):
    """The manifest's region for a turn with a mask."""
    height, width = turn.mask.shape
    if turn.kind == 'mask':
        return {'rle': rle.encode(turn.mask)}
    if turn.kind == 'point':
        x, y = map(int, re.search(r'\[(\d+), (\d+)\] <region_fea>', turn.question).groups())
        return {'point': [-(-x * width // 1000), -(-y * height // 1000)]}     # the pixel that is written so
    ys, xs = np.nonzero(turn.mask)
    return {'box': [int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())]}


def task_of(turn, region):
    """The manifest's task: the one of its kind where the words are that task's own, else the question as it is."""
    text = turn.question
    if turn.mask is not None:
        text = REGION.sub('{region%d}' % region, text)
        if text == dialogue.TASKS['describe'].format(region='{region%d}' % region):
            return {'kind': 'describe', 'regions': [region]}
    if text == dialogue.TASKS['caption']:
        return {'kind': 'caption'}
    for task in ('locate', 'locate_many'):
        said = pattern(task).fullmatch(text)
        if said:
            return {'kind': 'locate', 'phrases': said.group(1).split(', ')}
    return {'kind': 'ask', 'question': text}


def present_turns(rng, scene):
    """Up to two things that are the only one of their noun, by name or noun."""
    single = [t for t in scene.things if sum(o.noun == t.noun for o in scene.things) == 1]
    for thing in rng.sample(single, min(2, len(single))):
        phrase = rng.choice([dialogue.name(thing), scenes.NOUNS[thing.noun]])
        yield dialogue.Turn('present', dialogue.ask(rng, 'locate', phrase=phrase), dialogue.box_text(scene, thing), truth=thing.size)


def turns(rng, scene):
    """Everything that is asked about a scene but yes or no."""
    yield from present_turns(rng, scene)
    for kind in ['box', 'point', 'mask', 'absent', 'count', 'relation', 'locate_many']:
        turn = dialogue.make_turn(rng, scene, kind)
        if turn.kind == kind:           # a relation may have become a naming turn
            yield turn
    yield dialogue.Turn('caption', dialogue.TASKS['caption'], dialogue.caption(scene))


def yesno_turns(rng, nouns, popular):
    """Questions in POPE's form, one for each sampling of what is absent, half of them about what is there.  Objects of a scene
    are drawn independently, so that which come together teaches nothing: adversarial is another noun of the same group."""
    for sampling in SAMPLINGS:
        there = rng.random() < .5
        others = [n for n in range(len(scenes.NOUNS)) if n not in nouns]
        near = [n for n in others if scenes.GROUP_OF[n] in {scenes.GROUP_OF[m] for m in nouns}]
        pool = {'random': others, 'popular': [n for n in popular if n not in nouns], 'adversarial': near}[sampling]
        noun = rng.choice(sorted(nouns) if there else pool)
        question = 'Is there %s in the image?' % dialogue.with_article(scenes.NOUNS[noun])
        yield dialogue.Turn('yesno', question, 'Yes.' if there else 'No.', truth=sampling)


def entry(turn, number):
    """The question's line in the truth, without its place in a record."""
    made = {'id': '%s-%d' % (turn.kind, number), 'kind': turn.kind, 'question': turn.question.replace(' <region_fea>', ''),
            'answer': turn.answer}
    if turn.kind == 'present':
        made['size'] = turn.truth
    if turn.kind == 'yesno':
        made['sampling'] = turn.truth
    return made


def thousandths(scene, thing):
    return list(written(dialogue.box_text(scene, thing))[0])


def truth_of(scene, scene_id, questions):
    height, width = scene.owner.shape
    return {'id': scene_id, 'width': width, 'height': height, 'colour': dialogue.COLOUR_NAMES[scene.colour],
            'texture': dialogue.TEXTURES[scene.texture],
            'things': [{'noun': scenes.NOUNS[t.noun], 'size': t.size, 'box': thousandths(scene, t)} for t in scene.things],
            'questions': questions}


def asked(scene, seed, popular):
    """[(turn, its line in the truth)] of one scene; the same whatever other scenes there are, but for `popular`."""
    rng = random.Random('questions %d' % seed)
    said = list(turns(rng, scene)) + list(yesno_turns(rng, {t.noun for t in scene.things}, popular))
    return [(turn, entry(turn, number)) for number, turn in enumerate(said)]


def popular_nouns(drawn):
    """The nouns that most of the scenes hold, by index."""
    found = Counter(noun for scene in drawn for noun in {t.noun for t in scene.things})
    return sorted(found, key=lambda n: (-found[n], n))[:POPULAR]


# ---- a folder of scenes ---------------------------------------------------------------------------------------------

def job_of(truth, questions):
    """[(turn, line)] -> the manifest's line; writes each answer's place into the truth's line."""
    regions, tasks = [], []
    for turn, line in questions:
        if turn.mask is not None:
            regions.append(region_of(turn))
        task = task_of(turn, len(regions) - 1)
        tasks.append({'id': line['id'], **task})
        line['answer_id'] = line['id'] + ('-%d' % (len(regions) - 1) if task['kind'] == 'describe' else '')
    return {'id': truth['id'], 'image': {'path': truth['file']}, 'regions': regions, 'tasks': tasks}


def prepare(folder, seed, width, height, popular):
    """Draws one scene into the folder -> its truth, its line of the manifest."""
    scene, name = scenes.draw(seed, width, height), 'scene-%08d' % seed
    Image.fromarray(scene.image).save(os.path.join(folder, name + '.png'))
    questions = asked(scene, seed, popular)
    truth = truth_of(scene, name, [line for _, line in questions])
    truth['file'] = name + '.png'
    return truth, job_of(truth, questions)


# ---- what an answer is worth ----------------------------------------------------------------------------------------

def name_of(phrase):
    """'A small red car.' -> 'small red car'"""
    return ARTICLE.sub('', phrase.strip(' ,.').lower())


def noun_of(phrase):
    """'and a small red car' -> 'red car'"""
    return SIZE.sub('', name_of(phrase))


def pixel(truth):
    """The size of a pixel in thousandths: boxes have inclusive corners."""
    return 1000 / min(truth['width'], truth['height'])


def judge_present(truth, question, text):
    right, iou = written(question['answer'])[0], 0.
    if text is not None:
        iou = best(right, written(text)[:1], pixel(truth))
    yield 'rec_acc', iou >= HIT
    yield 'rec_iou', iou
    yield 'reject_present', text is not None and bool(NO.search(text))
    if question['size'] == 'small':
        yield 'rec_small', iou >= HIT


def judge_region(truth, question, text):
    said = text or ''
    yield 'refer_' + question['kind'], name_of(said) == name_of(question['answer'])
    yield 'refer_%s_noun' % question['kind'], noun_of(said) == noun_of(question['answer'])


def judge_absent(truth, question, text):
    yield 'reject_absent', bool(NO.search(text or ''))


def judge_yesno(truth, question, text):
    for measure in ('yesno', 'yesno_' + question['sampling']):
        yield measure, text == question['answer']


def judge_count(truth, question, text):
    yield 'count', text == question['answer']


def judge_relation(truth, question, text):
    if question['answer'] == 'Nothing.':
        yield 'relation', text == 'Nothing.'
        return
    noun, box = mentions(question['answer'])[0]
    said = mentions(text or '')
    yield 'relation', any(noun_of(n) == noun_of(noun) for n, _ in said[:1]) and best(box, [b for _, b in said], pixel(truth)) >= HIT


def judge_phrases(truth, question, text):
    """The share of this question's boxes that are found under their own noun."""
    said = [(noun_of(n), box) for n, box in mentions(text or '')]
    hits = [best(box, [b for n, b in said if n == noun_of(noun)], pixel(truth)) >= HIT for noun, box in mentions(question['answer'])]
    yield 'phrases', float(np.mean(hits))
    absences = [(part or '').split('There')[1:] for part in (question['answer'], text)]
    if absences[0]:
        yield 'phrases_absent', absences[0] == absences[1]


JUDGES = dict.fromkeys(['box', 'point', 'mask'], judge_region)
JUDGES.update(present=judge_present, absent=judge_absent, yesno=judge_yesno, count=judge_count, relation=judge_relation,
              locate_many=judge_phrases)


def judge_caption(truth, text):
    """-> (measure, item's name, value): an object at a time."""
    said = [(noun_of(words), box) for words, box in mentions(text or '')]
    true = [(t['noun'], t['box']) for t in truth['things']]
    for k, (noun, box) in enumerate(true):
        yield 'caption_recall', 'object-%d' % k, best(box, [b for n, b in said if n == noun], pixel(truth)) >= HIT
    for k, (noun, box) in enumerate(said):
        yield 'caption_precision', 'said-%d' % k, best(box, [b for n, b in true if n == noun], pixel(truth)) >= HIT
        yield 'hallucination', 'said-%d' % k, noun not in [n for n, _ in true]
    background = ' %s %s ' % (truth['colour'], truth['texture'])
    yield 'caption_background', 'background', background in (text or '')


def judge(truth, question, text):
    """text None: there is no answer, which is wrong -> [(measure, Item)]."""
    scene, name = truth['id'], question['id']
    if question['kind'] == 'caption':
        return [(measure, Item('%s/%s/%s' % (scene, name, part), scene, float(value)))
                for measure, part, value in judge_caption(truth, text)]
    return [(measure, Item('%s/%s' % (scene, name), scene, float(value)))
            for measure, value in JUDGES[question['kind']](truth, question, text)]
