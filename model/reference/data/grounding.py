"""Which things a caption's words mean, where there is no doubt."""
import re

from data import english, words
from data.facts import Mention

MOST = 5        # things of one plural


def called(name):
    """-> words that mean one of them, words that mean several."""
    singular = [name] + words.CALLED.get(name, '').split()
    return singular, [english.plural(word) for word in singular]


def places(text, phrases):
    """(start, end) of each phrase in the text as whole words, the longest where several begin."""
    pattern = r'(?<![\w-])(?:%s)(?![\w-])' % '|'.join(re.escape(p) for p in sorted(phrases, key=len, reverse=True))
    return [match.span() for match in re.finditer(pattern, text.lower())]


def number_before(text, start):
    before = english.words(text[:start])
    return english.NUMBERS.index(before[-1]) if before and before[-1] in english.NUMBERS else None


def mentions(text, things, complete):
    """A class is grounded where the text names it once, all of its instances are known, and one thing stands for a singular,
    several (as many as a number in front says) for a plural."""
    out = []
    for name in sorted({thing.name for thing in things} & complete):
        mine = tuple(i for i, thing in enumerate(things) if thing.name == name)
        one, several = called(name)
        found = places(text, one + several)
        if len(found) != 1:
            continue
        start, end = found[0]
        said, wanted = text[start:end].lower(), number_before(text, start)
        if wanted not in (None, len(mine)):
            continue
        if said in one and len(mine) == 1 or said in several and 1 < len(mine) <= MOST:
            out.append(Mention(start, end, mine))
    out.sort()
    return tuple(m for i, m in enumerate(out) if i == 0 or m.start >= out[i - 1].end)
