"""What kinds share: which things may be asked about and how they are called."""
from data import english, masks, shapes
from data.text import Ground

SMALLEST = 4        # pixels on the shorter side; less can be neither seen nor pointed at
MOST_BOXES = 6      # in one answer
NAMELESS = 'object'


def clear(facts):
    """Indices of things that are named and large enough."""
    return [i for i, t in enumerate(facts.things)
            if t.name != NAMELESS and min(t.box[2] - t.box[0], t.box[3] - t.box[1]) + 1 >= SMALLEST]


def countable(facts):
    """name -> indices, of names that are complete and few enough to answer with all of them."""
    groups = {}
    for i, thing in enumerate(facts.things):
        if thing.name in facts.complete:
            groups.setdefault(thing.name, []).append(i)
    return {name: indices for name, indices in sorted(groups.items()) if len(indices) <= MOST_BOXES}


def refer(rng, facts, index):
    return shapes.refer(rng, facts.things[index], *facts.size)


def boxes(facts, indices):
    """From left to right."""
    found = sorted({facts.things[i].box for i in indices}, key=lambda box: (masks.centre(box), box))
    return [Ground(box) for box in found]


def described(thing):
    """'brown dog'"""
    return ' '.join(thing.attributes[:1] + (thing.name,))


def there_are(indices, name):
    """'there is a dog', 'there are two dogs'"""
    if len(indices) == 1:
        return 'there %s %s' % (english.verb(name), english.with_article(name))
    return 'there are ' + english.counted(len(indices), name)


def by_lot(rng, forms):
    """Exchanges of several generators, each next one from any of them; nothing is made that nobody takes."""
    forms = list(forms)
    while forms:
        form = rng.choice(forms)
        exchange = next(form, None)
        if exchange is None:
            forms.remove(form)
        else:
            yield exchange


def some(rng, items, most):
    items = list(items)
    return rng.sample(items, min(most, len(items)))
