"""The whole image: people's captions with boxes behind the phrases that mean known things, or a list of what is there."""
from data import english, masks
from data.kinds.choice import boxes, by_lot, countable, some
from data.text import Exchange, fill, sentence

MOST_NAMES = 8
WITH_BOXES = ['Describe the image and give the coordinates.', 'What is in the image? Give the coordinates.',
              'Write a caption with the box of each object that it mentions.']
PLAIN = ['Describe the image in a sentence.', 'Write a caption without coordinates.']
LIST = ['List the objects in the image with their boxes.', 'Which objects are there? Give the coordinates.']


def with_boxes(facts, caption):
    form, values, at = '', {}, 0
    for i, mention in enumerate(caption.mentions):
        values['text%d' % i], values['boxes%d' % i] = caption.text[at:mention.end], boxes(facts, mention.things)
        form += '{text%d} {boxes%d}' % (i, i)
        at = mention.end
    return fill(form + '{rest}', rest=caption.text[at:], **values)


def grounded(rng, facts):
    for caption in some(rng, (c for c in facts.captions if c.mentions), 1):
        yield Exchange('caption', fill(rng.choice(WITH_BOXES)), sentence(with_boxes(facts, caption)))


def plain(rng, facts):
    for caption in some(rng, facts.captions, 1):
        yield Exchange('caption', fill(rng.choice(PLAIN)), sentence(fill('{text}', text=caption.text)))


def listing(rng, facts):
    groups = countable(facts)
    if not groups or len(groups) > MOST_NAMES or sum(map(len, groups.values())) < len(facts.things):
        return
    order = sorted(groups.items(), key=lambda item: min(masks.centre(facts.things[i].box) for i in item[1]))
    parts = []
    for name, indices in order:
        said = english.with_article(name) if len(indices) == 1 else english.counted(len(indices), name)
        parts.append(fill('{said} {boxes}', said=said, boxes=boxes(facts, indices)))
    form = ', '.join('{%s}' % chr(97 + i) for i in range(len(parts)))
    form = ' and '.join(form.rsplit(', ', 1))
    yield Exchange('caption', fill(rng.choice(LIST)), sentence(fill(form, **{chr(97 + i): part for i, part in enumerate(parts)})))


def make(rng, facts):
    return by_lot(rng, (form(rng, facts) for form in (grounded, plain, listing)))
