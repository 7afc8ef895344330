"""Records (`data/README.md`) as token ids, targets and region masks: what one training example is."""
import hashlib
import json
import os
from typing import List, NamedTuple

import numpy as np
from PIL import Image

from data import records
from prompt import region_text, render
from tokenizer import IMAGE

NONE = -100                # target of a token that nothing is learned from


class Example(NamedTuple):
    id: str
    path: str              # of the image file
    sha256: str            # of its bytes
    ids: List[int]         # with -200 for the image
    targets: List[int]     # [len(ids)]: the id itself in the model's turns and their end, NONE elsewhere
    masks: List[np.ndarray]   # bool [width, height], one for each `<region_fea>`


class BadExample(ValueError):
    pass


def learned(tokenizer, template, turns):
    """A conversation (user, model, user, model ..) -> ids, targets."""
    ids = tokenizer.encode_prompt(render(template, turns))
    cue = tokenizer.encode_prompt(template['roles'][1] + ':')[1:]
    assert ids[-len(cue):] == cue
    ids, targets, start = ids[:-len(cue)], [], 0                    # what would invite one more answer
    for turn in range(1, len(turns), 2):
        asked = tokenizer.encode_prompt(render(template, turns[:turn]))
        told = tokenizer.encode_prompt(render(template, turns[:turn + 1]))[:-len(cue)]
        if ids[:len(told)] != told or told[:len(asked)] != asked:
            raise BadExample('turn %d does not tokenize alone as in its conversation' % turn)
        targets += [NONE] * (len(asked) - start) + told[len(asked):]
        start = len(told)
    return ids, targets


def example(record, root, tokenizer, template):
    pairs = list(records.pairs(record, region_text))
    turns = [text for pair in pairs for text in (pair.question, pair.answer)]
    try:
        ids, targets = learned(tokenizer, template, turns)
    except BadExample as why:
        raise BadExample('%s: %s' % (record['id'], why)) from None
    return Example(record['id'], os.path.join(root, record['image'].split(':', 1)[1]), record['sha256'], ids, targets,
                   [mask.T for pair in pairs for mask in pair.masks])


class Records:
    """A file of records: `len()`, `[i]` -> Example; `sha256` of the file's bytes."""

    def __init__(self, path, tokenizer, template):
        self.path, self.tokenizer, self.template = path, tokenizer, template
        with open(os.path.join(os.path.dirname(os.path.abspath(path)), 'roots.json')) as file:
            self.roots = json.load(file)
        self.records, digest = [], hashlib.sha256()
        with open(path, 'rb') as file:
            for line in file:
                digest.update(line)
        self.sha256 = digest.hexdigest()
        for record in records.read(path):
            root = record['image'].split(':', 1)[0]
            if root not in self.roots:
                raise BadExample('%s: %s: no root "%s" in roots.json' % (path, record['id'], root))
            self.records.append(record)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        record = self.records[index]
        return example(record, self.roots[record['image'].split(':', 1)[0]], self.tokenizer, self.template)


def picture(item):
    """The example's image, refused when the file is not the one that the record was made of."""
    with open(item.path, 'rb') as file:
        if hashlib.sha256(file.read()).hexdigest() != item.sha256:
            raise BadExample('%s: %s is not the file that the record was made of (sha256)' % (item.id, item.path))
        file.seek(0)
        return Image.open(file).convert('RGB')


def usable(example, positions, longest):
    """Whether it fits: the image takes `positions` tokens."""
    return len(example.ids) - example.ids.count(IMAGE) + positions <= longest
