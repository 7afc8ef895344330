"""Facts to records.  A record depends on the seed, its source and its image only: another source, or an image more, changes no
other record (hard negatives apart, which follow the data set's own statistics)."""
import json
import os
import random
from typing import Any, Dict, NamedTuple, Optional

from data import pictures, records
from data.cooccurrence import Cooccurrence
from data.kinds import absent, captions, changed, objects, reasoning, regions, relations
from data.text import Refer

POSITIVE = {'object': objects.make, 'relation': relations.make, 'region': regions.make, 'caption': captions.make,
            'reasoning': reasoning.make}


class Options(NamedTuple):
    seed: int = 0
    mix: Dict[str, float] = {kind: 2. if kind in records.NEGATIVES else 1. for kind in records.KINDS}   # records of a kind an image
    turns: int = 4                                                   # pairs of a record, at most
    negative_share: float = .25                                      # of all pairs
    limit: Optional[int] = None                                      # images of a source
    held_out: frozenset = frozenset()                                # sha256 of images that must not be trained on
    change: Any = None                                               # rephrase.Rephraser


def region_of(slot):
    """The record's entry of `regions`."""
    if not isinstance(slot, Refer):
        return None
    return {'shape': slot.shape, 'point': list(slot.point)} if slot.point else {'shape': slot.shape}


def record_of(source, facts, picture, name, exchanges):
    texts = [text for e in exchanges for text in (e.question, e.answer)]
    size = [picture.height, picture.width]
    tasks = [{'kind': e.kind, 'form': records.form_of(e.question.value, e.answer.value), 'negative': e.kind in records.NEGATIVES}
             for e in exchanges]
    key = facts.key.replace('%', '%25').replace(':', '%3A')
    return {'id': '%s:%s:%s' % (source.name, key, name), 'image': '%s:%s' % (source.name, facts.image),
            'image_w': picture.width, 'image_h': picture.height, 'sha256': picture.sha256, 'source': source.name,
            'conversations': [{'from': ('human', 'gpt')[i % 2], 'value': text.value} for i, text in enumerate(texts)],
            'box_x1y1x2y2': [[list(slot.box) for slot in text.slots] for text in texts],
            'masks': [[{'size': size, 'counts': slot.counts} if getattr(slot, 'counts', None) else None for slot in text.slots]
                      for text in texts],
            'regions': [[region_of(slot) for slot in text.slots] for text in texts], 'tasks': tasks}


def different(exchanges, most):
    """The first `most` that ask different things."""
    chosen = {}
    for exchange in exchanges:
        chosen.setdefault(exchange.question, exchange)
        if len(chosen) == most:
            break
    return list(chosen.values())


class SourceBuild:
    """One source on its way to records."""

    def __init__(self, source, options, problems):
        self.source, self.options, self.problems = source, options, problems
        self.together, self.pairs, self.negatives = Cooccurrence(), 0, {'absent': 0, 'changed': 0}
        self.leaks, self.images = [], 0

    def facts(self):
        for number, facts in enumerate(self.source.facts()):
            if number == self.options.limit:
                return
            yield facts

    def records(self):
        self.source.open()
        if self.options.mix.get('absent') and self.options.negative_share:
            with self.problems.muted():
                for facts in self.facts():
                    self.together.add(sorted({t.name for t in facts.things if t.name in facts.complete}))
        for facts in self.facts():
            picture = self.picture(facts)
            if picture:
                self.images += 1
                yield from self.of_image(facts._replace(size=(picture.width, picture.height)), picture)

    def picture(self, facts):
        path = os.path.join(self.source.root, facts.image)
        try:
            picture = pictures.identify(path)
        except pictures.BadPicture as why:
            self.problems.skip(self.source.name, 'image file that can not be used', '%s: %s' % (facts.image, why))
            return None
        if facts.size not in (None, (picture.width, picture.height)):
            self.problems.skip(self.source.name, 'image of another size than its annotation says', facts.image)
            return None
        if picture.sha256 in self.options.held_out:
            self.leaks.append(facts.image)
            return None
        return picture

    def of_image(self, facts, picture):
        for kind, make in POSITIVE.items():
            for name, rng in self.times(facts, kind):
                exchanges = different(make(rng, facts), self.options.turns)
                if exchanges:
                    self.pairs += len(exchanges)
                    yield record_of(self.source, facts, picture, name, exchanges)
        asked = []
        for kind in sorted(records.NEGATIVES, key=self.negatives.get):
            for name, rng in self.times(facts, kind):
                exchanges = self.twins(rng, facts, kind, asked)
                if exchanges:
                    yield record_of(self.source, facts, picture, name, exchanges)

    def times(self, facts, kind):
        """(name, rng) for each record of this kind that the mix wants of the image."""
        wanted = self.options.mix.get(kind, 0.)
        lot = random.Random('%d:%s:%s:%s' % (self.options.seed, self.source.name, facts.key, kind))
        for number in range(int(wanted) + (lot.random() < wanted % 1)):
            yield kind + (':%d' % (number + 1) if number else ''), random.Random(lot.getrandbits(64))

    def twins(self, rng, facts, kind, asked):
        """Negatives, each beside its positive twin, as many as keep the share; none that the image was `asked` before."""
        made = absent.make(rng, facts, self.together) if kind == 'absent' else changed.make(rng, facts, self.options.change)
        out = []
        while len(out) + 2 <= max(2, self.options.turns):
            if sum(self.negatives.values()) + 1 > self.options.negative_share * (self.pairs + 2):
                break
            negative, positive = next(made, (None, None))
            if negative is None:
                break
            if negative.question not in asked and positive.question not in [e.question for e in out]:
                asked.append(negative.question)
                out += rng.sample([negative, positive], 2)
                self.negatives[kind] += 1
                self.pairs += 2
        return out


def write(record, file):
    file.write(json.dumps(record, ensure_ascii=False, separators=(',', ':')) + '\n')
