"""Grounded captioning: do the words of a caption stand for what is there, and do their boxes?"""
import re
from typing import Any, List, NamedTuple

from .. import entities
from ..boxes import enclosing, iou
from ..cider import Cider, words
from ..intervals import CLASS_F1, PRECISION, RATIO, RECALL, Item
from ..records import read_json
from ..suite import TRUNCATED, Question, boxes, need

DESCRIPTION = """Truth: either --references flickr30k_cleaned_class.json with --split-file (the published files of Grounded Video
Description: a class and a box for every object word of every caption), or --entities, a folder of Flickr30k Entities (the class is
the last word of a phrase, its box the one around all of its boxes).  f1_all, f1_loc: an object word of the answer is right where
the caption's object of that class has an overlap of at least a half with the word's box; words of the caption that have no box
are neither right nor wrong; f1_loc leaves words of other classes out.  Precision and recall are averaged over classes first,
and every caption of the image is a truth of its own.  cider: CIDEr-D of the answer without boxes, against all captions."""
EXAMPLE = '--entities flickr30k --split test --images flickr30k-images'
QUIRKS = {**TRUNCATED, 'above-half': 'an overlap of exactly a half is too little'}
HIT = .5
BOXES = re.compile(r'\s*\[[\d,\s]*\]')
IRREGULAR = {'men': 'man', 'women': 'woman', 'children': 'child', 'people': 'person', 'feet': 'foot', 'mice': 'mouse',
             'geese': 'goose', 'teeth': 'tooth', 'knives': 'knife', 'wolves': 'wolf', 'leaves': 'leaf', 'shelves': 'shelf', 'buses': 'bus'}
SINGULAR_S = ('ss', 'us', 'is')


class Caption(NamedTuple):
    text: str
    objects: List[Any]      # [(class, box)]


def arguments(parser):
    parser.add_argument('--references', metavar='FILE', help='flickr30k_cleaned_class.json')
    parser.add_argument('--split-file', metavar='FILE', help='split_ids_flickr30k_entities.json, with --references')
    parser.add_argument('--entities', metavar='DIR', help='Flickr30k Entities, instead')
    parser.add_argument('--split', default='test', help='which images [test]')
    parser.add_argument('--suffix', default='.jpg', help='of image files [.jpg]')


def lemma(word):
    """Plural nouns to singular, by spelling and a short list."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith('ies') and len(word) > 4:
        return word[:-3] + 'y'
    if word.endswith(('ches', 'shes', 'xes', 'sses')):
        return word[:-2]
    return word[:-1] if word.endswith('s') and len(word) > 3 and not word.endswith(SINGULAR_S) else word


def from_entities(folder, split):
    for image in entities.image_ids(folder, split):
        where = entities.annotated(folder, image)
        yield image, [Caption(s.text, [(lemma(words(p.text)[-1]), enclosing(where[p.id])) for p in s.phrases
                                       if p.id in where and words(p.text)]) for s in entities.sentences(folder, image)]


def from_references(path, split_path, split):
    wanted = {str(i) for i in need(read_json(split_path), split_path, split)}
    for number, entry in enumerate(need(read_json(path), path, 'annotations')):
        image, captions = need(entry, '%s: annotations[%d]' % (path, number), 'image_id', 'captions')
        if str(image) in wanted:
            where = '%s: annotations[%d].captions' % (path, number)
            parts = [need(c, where, 'tokens', 'process_clss', 'process_bnd_box') for c in captions]
            yield str(image), [Caption(' '.join(tokens), [(c, tuple(b)) for c, b in zip(classes, found)])
                               for tokens, classes, found in parts]


def questions(options):
    if options.entities:
        truth = from_entities(options.entities, options.split)
    else:
        truth = from_references(options.references, options.split_file, options.split)
    return [Question(image, image + options.suffix, {'kind': 'caption'}, captions) for image, captions in truth]


def mentioned(answer, vocabulary, quirks):
    """[(class, box)] of the answer: the last word of a phrase that is a class, and the box around the phrase's boxes."""
    found = []
    for phrase, some in boxes(answer, quirks):
        known = [w for w in (form for word in words(phrase) for form in (word, lemma(word))) if w in vocabulary]
        if known:
            found.append((known[-1], enclosing(some)))
    return found


def hits(a, b, quirks):
    overlap = iou(a, b)
    return float(overlap > HIT if 'above-half' in quirks else overlap >= HIT)


def first_of(pairs, name):
    return next((box for other, box in pairs if other == name), None)


def grounded(question, said, quirks):
    """-> (measure, Item) of f1_all and f1_loc for every caption of one image."""
    for number, caption in enumerate(question.truth):
        at, spoken = '%s/%d' % (question.id, number), {lemma(w) for w in words(caption.text)}
        for k, (name, box) in enumerate(said):
            truth, where = first_of(caption.objects, name), '%s/said-%d' % (at, k)
            if truth is not None:
                for measure in ('f1_all', 'f1_loc'):
                    yield measure, Item(where, question.image, hits(box, truth, quirks), 1., name, PRECISION)
            elif name not in spoken:
                yield 'f1_all', Item(where, question.image, 0., 1., name, PRECISION)
        for k, (name, truth) in enumerate(caption.objects):
            box, where = first_of(said, name), '%s/object-%d' % (at, k)
            right = 0. if box is None else hits(box, truth, quirks)
            yield 'f1_all', Item(where, question.image, right, 1., name, RECALL)
            yield 'f1_loc', Item(where, question.image, right, 0. if box is None else 1., name, RECALL)


def judge(question, answer, quirks):
    return []


def finish(judged, quirks):
    """Everything here needs the whole set: which classes there are, and how rare words are."""
    vocabulary = {name for q, _ in judged for caption in q.truth for name, _ in caption.objects}
    cider = Cider({q.id: [caption.text for caption in q.truth] for q, _ in judged})
    for q, answer in judged:
        for measure, item in grounded(q, mentioned(answer, vocabulary, quirks), quirks):
            yield measure, CLASS_F1, item
        text = '' if answer is None else BOXES.sub('', answer['text'])
        yield 'cider', RATIO, Item(q.id, q.image, cider.score(q.id, text))
