"""Single objects: what is here, this or that, where is it, where are the others."""
from data import english, words
from data.kinds.choice import boxes, by_lot, clear, countable, described, refer, some
from data.text import Exchange, fill, sentence

EACH = 3            # questions of one form
WHAT = ['What is {region}?', 'What is the object {region}?', 'Name the object {region}.', 'Which object is at {region}?']
WHICH = ['Is the object {region} of the image {first} or {second}?', 'What is at {region}: {first} or {second}?']
WHERE_ONE = ['Where is the {name}?', 'Locate the {name}.', 'Find the {name} and give its box.']
WHERE_ALL = ['Where are the {names}?', 'Locate all {names}.', 'Find every {name} and give its box.']
WHERE_PHRASE = ['Where is {phrase}?', 'Locate {phrase}.', 'Give the box of {phrase}.']
OTHERS = ['Find the other {names} besides {region}.', 'Where are the {names} that are not {region}?']
ALIKE = ['What is {region}, and where are others of its kind?', 'Name the object {region} and find more like it.']


def name_region(rng, facts):
    for i in some(rng, clear(facts), EACH):
        answer = english.with_article(described(facts.things[i]))
        yield Exchange('object', fill(rng.choice(WHAT), region=refer(rng, facts, i)), sentence(fill(answer)))


def choose_name(rng, facts):
    """The other name is one that the image doesn't hold."""
    known = {word for thing in facts.things for word in (thing.name, thing.name.split()[-1])}
    for i in some(rng, clear(facts), EACH):
        name = facts.things[i].name
        others = sorted(words.near(name) & facts.absent or facts.absent or words.unlike(name) - known)
        if others:
            pair = [english.with_article(n) for n in rng.sample([name, rng.choice(others)], 2)]
            question = fill(rng.choice(WHICH), region=refer(rng, facts, i), first=pair[0], second=pair[1])
            yield Exchange('object', question, sentence(fill(english.with_article(name))))


def locate_class(rng, facts):
    for name, indices in some(rng, countable(facts).items(), EACH):
        form = rng.choice(WHERE_ONE if len(indices) == 1 else WHERE_ALL)
        yield Exchange('object', fill(form, name=name, names=english.plural(name)), fill('{all}', all=boxes(facts, indices)))


def locate_phrase(rng, facts):
    for phrase in some(rng, facts.phrases, EACH):
        said = phrase.text if english.ARTICLE.match(phrase.text) else '"%s"' % phrase.text
        yield Exchange('object', fill(rng.choice(WHERE_PHRASE), phrase=said), fill('{all}', all=boxes(facts, phrase.things)))


def locate_described(rng, facts):
    """Sources that mark not everything: the only thing that is known to be called so."""
    alone = [i for i in clear(facts) if facts.things[i].name not in facts.complete and len(facts.named(facts.things[i].name)) == 1
             and not facts.phrases]
    for i in some(rng, alone, EACH):
        question = fill(rng.choice(WHERE_ONE), name=described(facts.things[i]))
        yield Exchange('object', question, fill('{all}', all=boxes(facts, [i])))


def find_others(rng, facts):
    for name, indices in some(rng, ((n, i) for n, i in countable(facts).items() if len(i) > 1), 1):
        i = rng.choice(indices)
        rest = boxes(facts, [j for j in indices if facts.things[j].box != facts.things[i].box])
        if rest:
            region, names = refer(rng, facts, i), english.plural(name)
            if rng.random() < .5:
                yield Exchange('object', fill(rng.choice(OTHERS), region=region, names=names), fill('{all}', all=rest))
            else:
                answer = fill('It is %s; others are here: {all}.' % english.with_article(name), all=rest)
                yield Exchange('object', fill(rng.choice(ALIKE), region=region), answer)


def make(rng, facts):
    return by_lot(rng, (form(rng, facts) for form in (name_region, choose_name, locate_class, locate_phrase, locate_described, find_others)))
