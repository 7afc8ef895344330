"""What is known about one image, whichever source it comes from.  Everything that a question is made of."""
from typing import Any, FrozenSet, NamedTuple, Optional, Tuple

Box = Tuple[int, int, int, int]     # pixels, corners inclusive


class Thing(NamedTuple):
    name: str                       # class or noun, lower case, no article
    box: Box
    outline: Any = None             # what masks.pixels() takes; None where only the box is known
    attributes: Tuple[str, ...] = ()


class Relation(NamedTuple):
    subject: int                    # index into things
    predicate: str                  # 'riding', 'left of'
    object: int


class Region(NamedTuple):
    box: Box
    phrase: str


class Phrase(NamedTuple):
    """Words that mean exactly these things and no other in the image."""
    text: str
    things: Tuple[int, ...]


class Mention(NamedTuple):
    start: int                      # characters of the caption's text
    end: int
    things: Tuple[int, ...]


class Caption(NamedTuple):
    text: str
    mentions: Tuple[Mention, ...] = ()


class Facts(NamedTuple):
    key: str                                # the image within its source
    image: str                              # file, below the source's image folder
    size: Optional[Tuple[int, int]]         # width, height as the annotations say
    things: Tuple[Thing, ...] = ()
    relations: Tuple[Relation, ...] = ()
    regions: Tuple[Region, ...] = ()
    phrases: Tuple[Phrase, ...] = ()
    captions: Tuple[Caption, ...] = ()
    complete: FrozenSet[str] = frozenset()  # names of which every instance in the image is among the things
    absent: FrozenSet[str] = frozenset()    # names of which the source says that the image holds none

    def named(self, name):
        return [i for i, thing in enumerate(self.things) if thing.name == name]
