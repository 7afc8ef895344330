"""Flickr30k Entities as published: Sentences/N.txt, Annotations/N.xml and lists of images (test.txt)."""
import os
import re
import xml.etree.ElementTree as tree
from collections import defaultdict
from typing import List, NamedTuple

from .records import Problem

PHRASE = re.compile(r'\[/EN#([^/\]\s]+)((?:/[^\s\]]+)*) ([^\]]+)\]')


class Phrase(NamedTuple):
    text: str
    id: str
    types: List[str]        # people, clothing, bodyparts, animals, vehicles, instruments, scene, other


class Sentence(NamedTuple):
    text: str
    phrases: List[Phrase]


def read(path):
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem('%s: %s' % (path, error))


def image_ids(folder, split):
    return read(os.path.join(folder, split + '.txt')).split()


def sentences(folder, image):
    """[Sentence] in the file's order."""
    return [Sentence(PHRASE.sub(lambda m: m.group(3), line).strip(),
                     [Phrase(m.group(3), m.group(1), m.group(2).split('/')[1:]) for m in PHRASE.finditer(line)])
            for line in read(os.path.join(folder, 'Sentences', image + '.txt')).splitlines() if line.strip()]


def annotated(folder, image):
    """{phrase id: [box]}: pixels as they stand in the file."""
    path = os.path.join(folder, 'Annotations', image + '.xml')
    try:
        root = tree.fromstring(read(path))
        found = defaultdict(list)
        for thing in root.findall('object'):
            corners = thing.find('bndbox')
            if corners is not None:
                box = tuple(int(corners.find(name).text) for name in ('xmin', 'ymin', 'xmax', 'ymax'))
                for name in thing.findall('name'):
                    found[name.text].append(box)
        return dict(found)
    except (tree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise Problem('%s: %s' % (path, error))
