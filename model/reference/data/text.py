"""Sentences with regions and boxes in them."""
import re
from typing import Any, NamedTuple, Optional, Tuple

from data.records import PLACE


class Refer(NamedTuple):
    """A region of a question."""
    box: Tuple[int, int, int, int]
    shape: str
    point: Optional[Tuple[int, int]] = None
    counts: Optional[str] = None       # of a free-form shape's RLE, which is of the image's size


class Ground(NamedTuple):
    """A box of an answer."""
    box: Tuple[int, int, int, int]


class Text(NamedTuple):
    value: str                         # with <bbox_location i>
    slots: Tuple[Any, ...]             # what stands there: Refer or Ground


class Exchange(NamedTuple):
    """A question and its answer."""
    kind: str                          # records.KINDS
    question: Text
    answer: Text


def fill(form, **values):
    """'What is {a}?' with a word, a Refer, a Ground, a Text, or a list of the last two, for each name in braces."""
    slots = []

    def put(value):
        if isinstance(value, (Refer, Ground)):
            if value not in slots:
                slots.append(value)
            return '<bbox_location%d>' % slots.index(value)
        if isinstance(value, Text):
            return PLACE.sub(lambda place: put(value.slots[int(place.group(1))]), value.value)
        if isinstance(value, (list, tuple)):
            return ' '.join(map(put, value))
        return str(value)

    text = re.sub(r'\{(\w+)\}', lambda name: put(values[name.group(1)]), form)
    return Text(text, tuple(slots))


def sentence(text):
    """With a capital in front and a full stop behind."""
    value = text.value.strip()
    value = value[:1].upper() + value[1:]
    return text._replace(value=value if value.endswith(('.', '!', '?')) else value + '.')
