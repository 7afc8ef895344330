"""Flickr30k Entities: phrase grounding."""
import re

from .. import entities
from ..boxes import enclosing, iou
from ..intervals import SHARE, Item
from ..suite import SHIFTED, TRUNCATED, Question, boxes

DESCRIPTION = """Folder: Flickr30k Entities as published (Annotations/*.xml, Sentences/*.txt, test.txt); images: N.jpg.  One
question a sentence with all its phrases that have boxes.  A phrase's truth is the smallest box around all of its boxes (merged
boxes; --any-box: any of them).  r1, r5, r10: one of the first k boxes that the answer gives to this phrase has an overlap of at
least a half; r_any ("upper bound"): some box has; r1_TYPE: r1 of one type of phrase.  Phrases are matched without case,
punctuation and repeated spaces."""
EXAMPLE = '--entities flickr30k --split test --images flickr30k-images'
QUIRKS = {**TRUNCATED, **SHIFTED}
HIT = .5
FIRST = {'r1': 1, 'r5': 5, 'r10': 10, 'r_any': None}


def arguments(parser):
    parser.add_argument('--entities', required=True, metavar='DIR', help='Annotations, Sentences and lists of images')
    parser.add_argument('--split', default='test', help='which list [test]')
    parser.add_argument('--any-box', action='store_true', help='truth: any of a phrase\'s boxes, instead of one around all')
    parser.add_argument('--suffix', default='.jpg', help='of image files [.jpg]')


def questions(options):
    found = []
    for image in entities.image_ids(options.entities, options.split):
        where = entities.annotated(options.entities, image)
        for number, sentence in enumerate(entities.sentences(options.entities, image)):
            phrases = [p for p in sentence.phrases if p.id in where]
            if phrases:
                truth = [(p.text, p.types, where[p.id] if options.any_box else [enclosing(where[p.id])]) for p in phrases]
                found.append(Question('%s/%d' % (image, number), image + options.suffix,
                                      {'kind': 'locate', 'phrases': [p.text for p in phrases]}, truth))
    return found


def plain(phrase):
    return ' '.join(re.sub(r'[^\w\s]', '', phrase.lower()).split())


def judge(question, answer, quirks):
    said = boxes(answer, quirks)
    for number, (phrase, types, truth) in enumerate(question.truth):
        found = [box for words, some in said if plain(words) == plain(phrase) for box in some]
        overlaps = [max(iou(box, t) for t in truth) for box in found]
        for measure, first in FIRST.items():
            hit = float(any(v >= HIT for v in overlaps[:first]))
            yield measure, SHARE, Item('%s/%d' % (question.id, number), question.image, hit)
            if first == 1:
                for kind in types:
                    yield 'r1_' + kind, SHARE, Item('%s/%d' % (question.id, number), question.image, hit)
