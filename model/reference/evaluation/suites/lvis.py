"""Referring object classification: which of two classes does a point, a box or a free-form region show?"""
import re

import numpy as np

from data import rle

from ..intervals import SHARE, Item
from ..records import Problem, read_lines
from ..suite import Question, need

DESCRIPTION = """File: one object a line (id, image_path, width, height, name, synonyms, neg_class, bbox_norm, sample_point,
free_shape_bbox_raw, free_shape_segment_mask): the form that the paper's evaluation reads; `python3 -m evaluation scenes` writes
drawn ones.  --region says what is shown of the object.  Even lines name the true class first, odd lines the other.  acc: the
answer names the true class or a synonym as whole words, any case, outside of negated clauses, and does not name the other one."""
EXAMPLE = '--objects lvis_eval.jsonl --region box --images val2017'
QUIRKS = {'official-match': 'the true name anywhere, even inside another word, with this case; both classes named is right; '
                            'clauses that begin with "no" as letters ("north ...,") are cut out; the last clause only before , or .'}
QUESTION = 'Is the object {region} of the image a %s or a %s?'
REGIONS = ['point', 'box', 'free']


def arguments(parser):
    parser.add_argument('--objects', required=True, metavar='FILE', help='one object a line')
    parser.add_argument('--region', choices=REGIONS, required=True, help='what is shown of each object')


def free_form(where, entry):
    """The mask, inside its box, as the manifest's region; the file has it as [width][height]."""
    box, mask, width, height = need(entry, where, 'free_shape_bbox_raw', 'free_shape_segment_mask', 'width', 'height')
    mask = np.asarray(mask)
    if mask.shape != (width, height):
        raise Problem('%s: free_shape_segment_mask: expected %d columns of %d rows, found shape %s' % (where, width, height, mask.shape))
    inside = np.zeros(mask.shape, bool)
    inside[box[0]:box[2] + 1, box[1]:box[3] + 1] = True
    return {'rle': rle.encode((inside & (mask != 0)).T)}


def region(where, entry, kind):
    if kind == 'free':
        return free_form(where, entry)
    if kind == 'point':
        return {'point': [int(v) for v in need(entry, where, 'sample_point')]}
    box, width, height = need(entry, where, 'bbox_norm', 'width', 'height')
    return {'box': [int(v * size) for v, size in zip(box, (width, height, width, height))]}


def spoken(name):
    return name.replace('_', ' ').strip()


def names(entry):
    """The class and its synonyms; what stands in brackets behind a synonym is another one."""
    parts = [part for s in [entry['name']] + entry['synonyms'] for part in s.replace(')', '').split('(')]
    return list(dict.fromkeys(filter(None, map(spoken, parts))))


def questions(options):
    found = []
    for number, entry in read_lines(options.objects):
        where = '%s:%d' % (options.objects, number)
        key, path, name, _, other = need(entry, where, 'id', 'image_path', 'name', 'synonyms', 'neg_class')
        pair = (name, other) if len(found) % 2 == 0 else (other, name)
        found.append(Question(str(key), path.split('/')[-1], {'kind': 'ask', 'question': QUESTION % pair},
                              (names(entry), spoken(other)), region(where, entry, options.region)))
    return found


def official_match(text, true):
    for pattern in (r'\s+not[^,.]*[,.]', r'\s+no[^,.]*[,.]'):
        text = re.sub(pattern, '', text)
    return any(name in text for name in true)


def says(text, name):
    return re.search(r'\b%s\b' % re.escape(name.lower()), text) is not None


def match(text, true, other):
    text = re.sub(r'\b(not|no)\b[^,.]*', '', text.lower())
    for name in sorted(true, key=len, reverse=True):
        if says(text, name):
            rest = re.sub(r'\b%s\b' % re.escape(name.lower()), '', text)
            return not says(rest, other)
    return False


def judge(question, answer, quirks):
    (true, other), text = question.truth, '' if answer is None else answer['text']
    right = official_match(text, true) if 'official-match' in quirks else match(text, true, other)
    yield 'acc', SHARE, Item(question.id, question.image, float(right))
