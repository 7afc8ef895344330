"""Descriptions: of a region, and the region of a description."""
from data.facts import Thing
from data.kinds.choice import SMALLEST, boxes, by_lot, refer, some
from data.shapes import box_region
from data.text import Exchange, Ground, fill, sentence

EACH = 3
DESCRIBE = ['Describe {region}.', 'What can be seen in {region}?', 'Give a short description of {region}.']
TELL_APART = ['Describe {region} so that nobody takes it for something else.', 'By which words would you find {region}?']
WHERE = ['Which part of the image shows this: "{phrase}"?', 'Where can this be seen: "{phrase}"?']


def describe(rng, facts):
    large = [r for r in facts.regions if min(r.box[2] - r.box[0], r.box[3] - r.box[1]) + 1 >= SMALLEST]
    for region in some(rng, large, EACH):
        asked = box_region(Thing('', region.box))
        yield Exchange('region', fill(rng.choice(DESCRIBE), region=asked), sentence(fill('{phrase}', phrase=region.phrase)))


def find(rng, facts):
    said = [r.phrase.lower() for r in facts.regions]
    for region in some(rng, (r for r in facts.regions if said.count(r.phrase.lower()) == 1), EACH):
        yield Exchange('region', fill(rng.choice(WHERE), phrase=region.phrase), fill('{box}', box=Ground(region.box)))


def tell_apart(rng, facts):
    for phrase in some(rng, (p for p in facts.phrases if len(boxes(facts, p.things)) == 1), EACH):
        question = fill(rng.choice(TELL_APART), region=refer(rng, facts, phrase.things[0]))
        yield Exchange('region', question, sentence(fill('{phrase}', phrase=phrase.text)))


def make(rng, facts):
    return by_lot(rng, (form(rng, facts) for form in (describe, find, tell_apart)))
