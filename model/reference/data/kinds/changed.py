"""Semantics-conditioned negatives: what the image shows, with one attribute, number or noun swapped for a near miss that it
does not show."""
import re
from typing import NamedTuple, Tuple

from data import english, words
from data.kinds.choice import MOST_BOXES, countable, described
from data.masks import centre
from data.text import Exchange, Ground, fill

ASK = ['Does the image show {phrase}?', 'Can you see {phrase}?', 'Does the image show {phrase}? If so, where?']
FIND = ['Find {phrase}.', 'Locate {phrase}.']
DETERMINERS = ('a', 'an', 'the', 'some', 'his', 'her', 'their', 'its') + tuple(english.NUMBERS)
LONGEST = 12        # words of a phrase that is changed


class Claim(NamedTuple):
    """A phrase that is true of these boxes."""
    text: str                   # with its article or number
    boxes: Tuple[Ground, ...]
    counted: str                # the class, where the text is the number of all of that class; else ''
    alone: bool                 # no other thing of this name: what differs from it is not there


def known_words(facts):
    """Every word that anybody said of the image, and its plural."""
    texts = [t.name for t in facts.things] + [a for t in facts.things for a in t.attributes] + [p.text for p in facts.phrases]
    texts += [r.phrase for r in facts.regions] + [c.text for c in facts.captions] + [r.predicate for r in facts.relations]
    found = {word for text in texts for word in english.words(text)}
    return found | {english.plural(word) for word in found}


def with_determiner(text):
    text = text.strip().rstrip('.').lower()
    return text if text.split(' ', 1)[0] in DETERMINERS else 'the ' + text


def grounds(boxes):
    return tuple(Ground(box) for box in sorted(set(boxes), key=lambda box: (centre(box), box)))


def claims(facts):
    """Phrases that people gave, and those that follow from the things themselves."""
    for phrase in facts.phrases:
        names = {facts.things[i].name for i in phrase.things}
        alone = all(len(facts.named(name)) == len(phrase.things) for name in names)
        yield Claim(with_determiner(phrase.text), grounds(facts.things[i].box for i in phrase.things), '', alone)
    for region in facts.regions:
        yield Claim(with_determiner(region.phrase), grounds([region.box]), '', True)
    for i, thing in enumerate(facts.things):
        if thing.attributes and len(facts.named(thing.name)) == 1:
            yield Claim(english.with_article(described(thing)), grounds([thing.box]), '', True)
    for name, indices in countable(facts).items():
        if len(indices) > 1:
            yield Claim(english.counted(len(indices), name), grounds(facts.things[i].box for i in indices), name, True)


def changes(claim, known):
    """(kind, changed text) of the claim that the word tables allow."""
    if claim.counted:
        for count in range(2, MOST_BOXES + 1):
            if count != len(claim.boxes):
                yield 'number', english.counted(count, claim.counted)
        return
    said = english.words(claim.text)
    for word in dict.fromkeys(said if claim.alone and len(said) <= LONGEST else ()):
        for kind, own, others in words.swaps().get(word, ()):
            exact = english.number(len(claim.boxes)) == word
            for other in others:
                if exact if kind == 'number' else not known & set(other):
                    yield kind, replaced(claim.text, word, fitting(own, word, other))


def fitting(own, word, other):
    """The word of the other set that has the same number: 'men' -> 'women'."""
    if word in map(english.plural, own):
        return next((w for w in other if w in map(english.plural, other)), english.plural(other[0]))
    return other[0]


def replaced(text, word, new):
    text = re.sub(r'(?<![\w-])%s(?![\w-])' % re.escape(word), new, text, count=1)
    return re.sub(r'\b(?:a|an) (\w+)', lambda said: english.article(said.group(1)) + ' ' + said.group(1), text)


def exchanges(rng, claim, changed):
    """(negative, positive) of the same wording."""
    asks = rng.random() < .5
    form = rng.choice(ASK if asks else FIND)
    there = 'there %s {phrase} {boxes}' % ('are' if len(claim.boxes) > 1 else 'is')
    no = ('No, but %s.' if asks else 'That is not in the image, but %s.') % there
    values = dict(phrase=claim.text, boxes=list(claim.boxes))
    positive = fill('Yes, %s.' % there if asks else '{boxes}', **values)
    return (Exchange('changed', fill(form, phrase=changed), fill(no, **values)),
            Exchange('object', fill(form, phrase=claim.text), positive))


def make(rng, facts, change):
    """change(claim text, known words) -> a changed text of a language model's, or None for the word tables' own."""
    known, found = known_words(facts), sorted(set(claims(facts)))
    rng.shuffle(found)
    for claim in found:
        changed = change(claim.text, known) if change else None
        if changed is None:
            by_kind = {}
            for kind, text in changes(claim, known):
                by_kind.setdefault(kind, []).append(text)
            if not by_kind:
                continue
            changed = rng.choice(by_kind[rng.choice(sorted(by_kind))])
        yield exchanges(rng, claim, changed)
