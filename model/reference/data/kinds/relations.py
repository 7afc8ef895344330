"""Two objects and what is between them: as annotated, or where one lies as seen from the other."""
from data import masks
from data.facts import Relation
from data.kinds.choice import boxes, by_lot, clear, refer, some
from data.text import Exchange, fill

EACH = 2
ANNOTATED, DERIVED = 8, 4           # relations that are looked at in an image
CLEAR = .25                         # of the larger extent: the least distance between boxes that lie beside each other
HOW = ['How does {a} stand to {b}?', 'What is the relation between {a} and {b}?', 'What connects {a} with {b}?']
SAY = ['Say in words how {a} stands to {b}.', 'Without coordinates, how is {a} related to {b}?']
WHICH = ['Which object is {a} {predicate}? Answer with its box.', 'Give the box of what {a} is {predicate}.']
WHERE = ['Where is the {subject} that {does} the {object}?', 'Locate the {subject} that {does} the {object}.']
PREPOSITIONS = set('on in at under above below over behind beside near by next inside with of left right against along between around '
                   'beneath underneath across outside atop front top for from to attached covered parked made full'.split())


def does(predicate):
    """'is riding', 'is left of', 'has'"""
    first = predicate.split()[0]
    return 'is ' + predicate if first in PREPOSITIONS or first.endswith('ing') else predicate


def beside(a, b):
    """Where box a lies as seen from box b, or None where that is a matter of taste."""
    gaps = {'left of': b[0] - a[2], 'right of': a[0] - b[2], 'above': b[1] - a[3], 'below': a[1] - b[3]}
    reach = {'left of': 0, 'right of': 0, 'above': 1, 'below': 1}
    for name, gap in gaps.items():
        axis = reach[name]
        extent = max(box[2 + axis] - box[axis] + 1 for box in (a, b))
        across = abs(masks.centre(a)[1 - axis] - masks.centre(b)[1 - axis])
        along = abs(masks.centre(a)[axis] - masks.centre(b)[axis])
        if gap > CLEAR * extent and along > 2 * across:
            return name
    return None


def derived(rng, facts):
    things, out = clear(facts), []
    pairs = [(i, j) for i in things for j in things if i != j]
    for i, j in rng.sample(pairs, min(len(pairs), 40)):
        name = beside(facts.things[i].box, facts.things[j].box)
        if name:
            out.append(Relation(i, name, j))
    return out[:DERIVED]


def in_words(facts, relation, form):
    a, b = facts.things[relation.subject], facts.things[relation.object]
    other = 'other ' + b.name if a.name == b.name else b.name
    return fill(form, a=a.name, b=other, does=does(relation.predicate), A=boxes(facts, [relation.subject]), B=boxes(facts, [relation.object]))


def how(rng, facts, chosen):
    for relation in chosen[:EACH]:
        ends = dict(a=refer(rng, facts, relation.subject), b=refer(rng, facts, relation.object))
        if rng.random() < .3:
            yield Exchange('relation', fill(rng.choice(SAY), **ends), in_words(facts, relation, 'The {a} {does} the {b}.'))
        else:
            yield Exchange('relation', fill(rng.choice(HOW), **ends), in_words(facts, relation, 'The {a} {A} {does} the {b} {B}.'))


def which(rng, facts, chosen):
    """What the subject does that with, where it is one thing only and the predicate can stand at the question's end."""
    for relation in chosen[:EACH]:
        same = [r for r in facts.relations if r[:2] == relation[:2]]
        if len(same) == 1 and does(relation.predicate).startswith('is '):
            question = fill(rng.choice(WHICH), a=refer(rng, facts, relation.subject), predicate=relation.predicate)
            yield Exchange('relation', question, fill('{box}', box=boxes(facts, [relation.object])))


def where(rng, facts, chosen):
    """The subject by its relation, where no other thing of its name stands so to one of that name."""
    def named(r):
        return facts.things[r.subject].name, r.predicate, facts.things[r.object].name

    for relation in chosen[:EACH]:
        if sum(named(r) == named(relation) for r in facts.relations) == 1:
            a, predicate, b = named(relation)
            question = fill(rng.choice(WHERE), subject=a, does=does(predicate), object=b)
            yield Exchange('relation', question, fill('{box}', box=boxes(facts, [relation.subject])))


def make(rng, facts):
    fit = set(clear(facts))
    annotated = [r for r in facts.relations if r.subject in fit and r.object in fit]
    chosen = some(rng, annotated, ANNOTATED) if facts.relations else derived(rng, facts)
    return by_lot(rng, (form(rng, facts, chosen) for form in (how, which, where)))
