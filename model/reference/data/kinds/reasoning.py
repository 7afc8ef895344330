"""Questions whose answer puts several facts together, by templates.  Only where all of what counts is known and the margin
leaves no doubt."""
import math

from data import english, masks
from data.kinds.choice import boxes, by_lot, clear, countable, refer, some
from data.kinds.relations import beside
from data.text import Exchange, fill, sentence

TWICE = 2.          # how much larger, or nearer, the answer is than what comes second
COUNT = ['How many {names} are there, and where?', 'Count the {names} and give their boxes.']
LARGER = ['Which is larger in the image, {a} or {b}?', 'Compare {a} with {b}: which takes more room?']
EXTREME = ['Which of the {names} is furthest to the {side}?', 'Of all {names}, give the box of the one furthest to the {side}.']
NEAREST = ['Which object is nearest to {a}?', 'What lies closest to {a}, and where?']
NEAREST_BOX = ['Give the box of the object nearest to {a}.', 'Find what lies closest to {a}. Answer with its box.']
CHAIN = ['What lies {where} {a}, and how many of its kind does the image hold?']


def count(rng, facts):
    for name, indices in some(rng, countable(facts).items(), 2):
        question = fill(rng.choice(COUNT), names=english.plural(name))
        answer = 'There %s %s: {all}.' % (english.verb(name, len(indices)), english.number(len(indices)))
        yield Exchange('reasoning', question, fill(answer, all=boxes(facts, indices)))


def larger(rng, facts):
    pairs = [(i, j) for i in clear(facts) for j in clear(facts)
             if masks.area(facts.things[i].box) > TWICE * masks.area(facts.things[j].box)]
    for i, j in some(rng, pairs, 1):
        first, second = rng.sample([i, j], 2)
        question = fill(rng.choice(LARGER), a=refer(rng, facts, first), b=refer(rng, facts, second))
        ratio = min(99, masks.area(facts.things[i].box) // masks.area(facts.things[j].box))
        names = facts.things[i].name, facts.things[j].name
        other = 'the other' if names[0] == names[1] else 'the ' + names[1]
        answer = 'The {a} {A} is larger: its box holds more than %s times that of %s.' % (english.number(ratio), other)
        yield Exchange('reasoning', question, fill(answer, a=names[0], A=boxes(facts, [i])))


def extreme(rng, facts):
    for name, indices in some(rng, ((n, i) for n, i in countable(facts).items() if len(i) > 1), 1):
        side = rng.choice(['left', 'right'])
        order = sorted(indices, key=lambda i: masks.centre(facts.things[i].box)[0], reverse=side == 'right')
        a, b = (facts.things[i].box for i in order[:2])
        if abs(masks.centre(a)[0] - masks.centre(b)[0]) > .5 * (min(a[2] - a[0], b[2] - b[0]) + 1):
            yield Exchange('reasoning', fill(rng.choice(EXTREME), names=english.plural(name), side=side), fill('{box}', box=boxes(facts, order[:1])))


def everything_known(facts):
    return bool(facts.things) and all(thing.name in facts.complete for thing in facts.things)


def nearest(rng, facts):
    if not everything_known(facts):
        return
    for i in some(rng, clear(facts), 2):
        order = sorted((math.dist(masks.centre(facts.things[i].box), masks.centre(t.box)), j) for j, t in enumerate(facts.things) if j != i)
        if len(order) > 1 and order[1][0] > TWICE * order[0][0] and facts.things[order[0][1]].box != facts.things[i].box:
            j = order[0][1]
            forms, answer = rng.choice([(NEAREST, 'The {name} {box} is nearest.'), (NEAREST_BOX, '{box}')])
            answer = fill(answer, name=facts.things[j].name, box=boxes(facts, [j]))
            yield Exchange('reasoning', fill(rng.choice(forms), a=refer(rng, facts, i)), answer)


def chain(rng, facts):
    if not everything_known(facts):
        return
    for i in some(rng, clear(facts), 2):
        where = rng.choice(['left of', 'right of', 'above', 'below'])
        found = [j for j in range(len(facts.things)) if j != i and beside(facts.things[j].box, facts.things[i].box) == where]
        if len(found) == 1 and facts.things[found[0]].name in countable(facts):
            name = facts.things[found[0]].name
            total = len(facts.named(name))
            answer = fill('{said} {box}; there %s %s in all.' % (english.verb(name, total), english.counted(total, name)),
                          said=english.with_article(name), box=boxes(facts, found))
            yield Exchange('reasoning', fill(rng.choice(CHAIN), where=where, a=refer(rng, facts, i)), sentence(answer))


def make(rng, facts):
    return by_lot(rng, (form(rng, facts) for form in (count, larger, extreme, nearest, chain)))
