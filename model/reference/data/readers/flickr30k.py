"""Flickr30k Entities: Sentences/ID.txt, Annotations/ID.xml, images under flickr30k-images or images; train.txt, val.txt,
test.txt list ids."""
import os
import re
from xml.etree import ElementTree

from data import masks
from data.english import without_article
from data.facts import Caption, Facts, Mention, Phrase, Thing
from data.readers.folders import Images, NotThere

PHRASE = re.compile(r'\[/EN#(\d+)((?:/[A-Za-z]+)+) ([^\]]*)\]')
SPACED = re.compile(r' ([.,;:!?])')
NO_OBJECT = '0'        # the entity of phrases that nothing in the image stands for
FILE_LIMIT = 1 << 20   # bytes of one file: published ones have a few thousand


class BadFile(ValueError):
    pass


def read_text(path):
    if os.path.getsize(path) > FILE_LIMIT:
        raise BadFile('larger than %d bytes' % FILE_LIMIT)
    with open(path, encoding='utf-8') as file:
        return file.read()


def read_annotation(path):
    """-> (width, height), {entity: [box]}.  Its coordinates count from 1."""
    text = read_text(path)
    if '<!' in text:
        raise BadFile('it declares a document type or entities')
    root = ElementTree.fromstring(text)

    def number(parent, tag):
        return int(float(parent.findtext(tag, '')))

    size_entry = root.find('size')
    if size_entry is None:
        raise BadFile('no size')
    size, boxes = (number(size_entry, 'width'), number(size_entry, 'height')), {}
    if min(size) < 1:
        raise BadFile('a size of %d x %d' % size)
    for entry in root.iter('object'):
        for corner in entry.iter('bndbox'):
            x1, y1, x2, y2 = (number(corner, tag) - 1 for tag in ('xmin', 'ymin', 'xmax', 'ymax'))
            box = masks.inside(x1, y1, x2, y2, *size)
            if box is None:
                raise BadFile('a box outside of the image')
            for name in entry.findall('name'):
                boxes.setdefault(name.text, []).append(box)
    return size, boxes


def read_sentence(line):
    """-> text without marks, [(start, end, entity)]."""
    text, spans, at = '', [], 0
    for match in PHRASE.finditer(line):
        text += SPACED.sub(r'\1', line[at:match.start()])
        spans.append((len(text), len(text) + len(match.group(3)), match.group(1)))
        text, at = text + match.group(3), match.end()
    text += SPACED.sub(r'\1', line[at:])
    if '/EN#' in text:
        raise BadFile('a phrase mark that is not closed')
    return text, spans


class Flickr30k:
    name = 'flickr30k'

    def __init__(self, root, problems, split=None):
        self.root, self.problems = root, problems
        for folder in ('Sentences', 'Annotations'):
            if not os.path.isdir(os.path.join(root, folder)):
                raise NotThere('%s: no folder %s' % (root, folder))
        listed = os.path.join(root, (split or 'train') + '.txt')
        if os.path.exists(listed):
            with open(listed) as file:
                self.keys = sorted(set(file.read().split()))
        elif split:
            raise NotThere('%s: not there' % listed)
        else:
            self.keys = sorted(name[:-4] for name in os.listdir(os.path.join(root, 'Sentences')) if name.endswith('.txt'))
        self.images = Images(root, ['flickr30k-images', 'images', ''])

    def open(self):
        """Nothing: every image has files of its own."""

    def facts(self):
        for key in self.keys:
            path = self.images.find(key + '.jpg')
            if path is None:
                self.problems.skip('flickr30k', 'image file is not there', key + '.jpg')
                continue
            try:
                size, boxes = read_annotation(os.path.join(self.root, 'Annotations', key + '.xml'))
                lines = read_text(os.path.join(self.root, 'Sentences', key + '.txt')).splitlines()
            except (OSError, ValueError, ElementTree.ParseError) as why:
                self.problems.skip('flickr30k', 'annotation that can not be read', '%s: %s' % (key, why))
                continue
            yield self.of_image(key, path, size, boxes, lines)

    def of_image(self, key, path, size, boxes, lines):
        sentences = []
        for line in filter(str.strip, lines):
            try:
                sentences.append(read_sentence(line.strip()))
            except BadFile as why:
                self.problems.skip('flickr30k', 'sentence that can not be read', '%s: %s' % (key, why))
        names, entities, things = {}, {}, []
        for text, spans in sentences:
            for start, end, entity in spans:
                names.setdefault(entity, without_article(text[start:end].lower()))
        for entity, found in boxes.items():
            if entity in names and entity != NO_OBJECT:
                entities[entity] = tuple(range(len(things), len(things) + len(found)))
                things += [Thing(names[entity], box) for box in found]
        captions, meant = [], {}
        for text, spans in sentences:
            captions.append(Caption(text, tuple(Mention(start, end, entities[entity]) for start, end, entity in spans
                                                if entity in entities)))
            for start, end, entity in spans:
                meant.setdefault(text[start:end].lower(), set()).add(entity)
        phrases = tuple(Phrase(text, entities[min(meant_)]) for text, meant_ in meant.items()
                        if len(meant_) == 1 and meant_ <= set(entities))
        return Facts(key, path, size, tuple(things), phrases=phrases, captions=tuple(captions))
