"""Image-conditioned negatives: a class that the image does not hold.  A third each: near in meaning to one that it holds, usually
found beside one that it holds, any other."""
from data import english, words
from data.kinds.choice import boxes, clear, countable, refer, there_are
from data.text import Exchange, fill

ASK = ['Is there {a} in the image?', 'Is there {a} in the image? If so, where?', 'Can you see {a} here?']
FIND = ['Where is the {name}?', 'Locate the {name}.', 'Find the {name} and give its box.']
NAMED = ['Is {region} {a}?', 'Is the object {region} {a}?']
HOW = ['near', 'beside', 'any']


def candidates(facts, present, together, how):
    """[(absent name, the present one that makes it plausible)]"""
    if how == 'near':
        return [(other, name) for name in present for other in sorted(words.near(name) & facts.absent)]
    if how == 'beside':
        return together.usual(present, sorted(facts.absent))
    return [(other, None) for other in sorted(facts.absent)]


def pick(rng, facts, present, together):
    for how in rng.sample(HOW, len(HOW)):
        found = candidates(facts, present, together, how)
        if found:
            return rng.choice(found)
    return None


def is_there(rng, facts, groups, absent, instead, there):
    """-> two answers to one wording, of the absent class and of one that is there."""
    asks = rng.random() < .5
    form = rng.choice(ASK if asks else FIND)
    no = 'No, but {instead} {boxes}.' if asks else 'There is no {name} in the image, but {instead} {boxes}.'
    yes = 'Yes, {there} {boxes}.' if asks else '{boxes}'
    return (Exchange('absent', fill(form, a=english.with_article(absent), name=absent),
                     fill(no, name=absent, instead=there_are(groups[instead], instead), boxes=boxes(facts, groups[instead]))),
            Exchange('object', fill(form, a=english.with_article(there), name=there),
                     fill(yes, there=there_are(groups[there], there), boxes=boxes(facts, groups[there]))))


def is_it(rng, facts, absent, index):
    """The same of a region: the absent class, and what it shows."""
    form, name, box = rng.choice(NAMED), facts.things[index].name, boxes(facts, [index])
    a, other = english.with_article(name), english.with_article(absent)
    return (Exchange('absent', fill(form, region=refer(rng, facts, index), a=other), fill('No, it is {a} {box}.', a=a, box=box)),
            Exchange('object', fill(form, region=refer(rng, facts, index), a=a), fill('Yes, it is {a} {box}.', a=a, box=box)))


def make(rng, facts, together):
    groups, used = countable(facts), set()
    present, pointed = sorted(groups), set(clear(facts))
    while present:
        chosen = pick(rng, facts, present, together)
        if chosen is None or chosen[0] in used:
            return
        absent, instead = chosen[0], chosen[1] or rng.choice(present)
        used.add(absent)
        index = rng.choice(groups[instead])
        if index in pointed and rng.random() < 1 / 3:
            yield is_it(rng, facts, absent, index)
        else:
            yield is_there(rng, facts, groups, absent, instead, rng.choice(present))
