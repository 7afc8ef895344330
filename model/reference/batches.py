"""Scenes and conversations as tensors.  B images, N = grid * grid patches, T packed text tokens, R regions."""
import re
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

import dialogue
from prompt import text_value
from scenes import NOUNS, SIDE, SIZES
from tokenizer import BOS, EOS

BINS, LENGTH = 2, 160                    # text of one image: two bins, so that attention never spans all of it
MIXES = {                                # how often a turn is of which kind, beside captions
    'even': dict(box=1, point=1, mask=1, locate=3, locate_many=2, absent=1, yesno=1, count=2, relation=3),
    'hard': dict(box=1, point=3, mask=1, locate=2, locate_many=3, absent=1, yesno=1, count=2, relation=8)}
SPANS = {'even': [0, 1, 2, 3, 5], 'hard': [0, 2, 3, 5, 5, 5]}     # of points: 11 pixels of a larger file are fewer here
DIGIT_WEIGHTS = 1.2, 1., .4              # first, second, third digit of a coordinate
WORD_WEIGHT, PUNCTUATION_WEIGHT = 2., .3
BRACKET_WEIGHT, INSIDE_WEIGHT = 8., .3   # in the guide for boxes
ANY = -1                                 # instead of a noun: whatever there is

SIZE_WORDS = list(SIZES)
SAID = {name: i for i, noun in enumerate(NOUNS) for name in (noun, dialogue.plural(noun))}
SAID_PATTERN = re.compile(r'\b(%s)\b' % '|'.join(sorted(map(re.escape, SAID), key=len, reverse=True)))
BOX_PATTERN = re.compile(r'\[\d+, \d+, \d+, \d+\]')


def augmented(rng, scene):
    """Half of all scenes mirrored; a quarter seen through another resolution, as files of other sizes will be."""
    if rng.random() < .5:
        scene = scene.mirrored()
    if rng.random() < .25:
        other = rng.randint(100, 320), rng.randint(100, 320)
        image = Image.fromarray(np.ascontiguousarray(scene.image)).resize(other, Image.BICUBIC)
        scene = scene._replace(image=np.asarray(image.resize((SIDE, SIDE), Image.BICUBIC)))
    return scene


def crowded(scene):
    """How much there is to mix up: things, and things of a noun that was there before."""
    return 2 * len(scene.things) - len({t.noun for t in scene.things})


def anchors(owner, boxes, grid):
    """bool [N]: for every thing that owns patches, the one nearest to the middle of its box."""
    anchor, side = np.zeros(grid * grid, bool), SIDE // grid
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        own = np.nonzero(owner == i + 1)[0]
        if len(own):
            x, y = own % grid * side + side / 2, own // grid * side + side / 2
            anchor[own[((x - (x1 + x2) / 2) ** 2 + (y - (y1 + y2) / 2) ** 2).argmin()]] = True
    return anchor


def neighbours(scene):
    """For every thing and direction: noun + 1 of the nearest thing there, 0 for none, -1 for a matter of taste [things, 4];
    and where its middle is [things, 4, 2]."""
    found = [[dialogue.neighbour(scene, i, d) for d in dialogue.DIRECTIONS] for i in range(len(scene.things))]
    noun = [[-1 if f is None else scene.things[f[0]].noun + 1 if f else 0 for f in row] for row in found]
    middle = [[dialogue.centre(scene.things[f[0]]) if f else (0, 0) for f in row] for row in found]
    return np.array(noun), np.array(middle)


def patch_targets(scene, grid):
    """What the patches show.  owner [N]: 0, or i + 1 where things[i] covers an eighth of the patch and more than any other;
    noun [N] likewise (0 = background); size_word [N]; box [N, 4]; digits [N, 4, 3]; anchor [N]: 1 on one patch of every thing;
    beside [N, 4] and beside_at [N, 4, 2]: the thing's neighbours."""
    side = SIDE // grid
    cells = scene.owner.reshape(grid, side, grid, side).transpose(0, 2, 1, 3).reshape(grid * grid, side * side)
    covered = np.stack([(cells == i + 1).sum(1) for i in range(len(scene.things))], 1)
    top, on = covered.argmax(1), covered.max(1) >= side * side // 8
    boxes = np.array([t[2:] for t in scene.things])
    beside, beside_at = neighbours(scene)
    owner = (top + 1) * on
    digits = np.array([[[int(d) for d in '%03d' % text_value(v, SIDE)] for v in box] for box in boxes])
    return dict(owner=owner, noun=np.array([t.noun + 1 for t in scene.things])[top] * on,
                size_word=np.array([SIZE_WORDS.index(t.size) for t in scene.things])[top],
                box=boxes[top], digits=digits[top],
                anchor=anchors(owner, boxes, grid), beside=beside[top], beside_at=beside_at[top])


def drawn(pool, rng, busy):
    """A scene of the pool; with probability `busy` the more crowded one of two."""
    scene = pool[rng.randrange(len(pool))]
    return max(scene, pool[rng.randrange(len(pool))], key=crowded) if rng.random() < busy else scene


def image_batch(pool, rng, count, grid, busy=0.):
    """-> the scenes, and a namespace of tensors: image [B, side, side, 3] uint8, background [B, 2], patch targets [B, N, ..]."""
    scenes = [augmented(rng, drawn(pool, rng, busy)) for _ in range(count)]
    targets = [patch_targets(scene, grid) for scene in scenes]
    batch = SimpleNamespace(
        image=torch.from_numpy(np.stack([s.image for s in scenes])),
        background=torch.tensor([[s.colour, s.texture] for s in scenes]),
        **{name: torch.from_numpy(np.stack([t[name] for t in targets])).long() for name in targets[0]})
    return scenes, batch


def region_points(nprng, mask, count):
    """`count` pixels of the mask: a random subset, or all of them and random repeats; float32 [count, 2] = (x / W, y / H)."""
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    n = len(ys)
    pick = nprng.permutation(n)[:count] if n >= count else np.append(np.arange(n), nprng.integers(0, n, count - n))
    return np.stack([xs[pick] / width, ys[pick] / height], -1).astype(np.float32)


def neighbourhoods(nprng, points, size):
    """Farthest point sampling and nearest neighbours, stage by stage: [(centres [R, m], neighbours [R, m, k])]."""
    stages, row = [], np.arange(len(points))
    for centres, near in zip(size.stages, size.neighbors):
        chosen = np.zeros((len(points), centres), np.int64)
        chosen[:, 0] = nprng.integers(0, points.shape[1], len(points))
        distance = np.full(points.shape[:2], np.inf, np.float32)
        for j in range(centres):
            if j:
                chosen[:, j] = distance.argmax(1)
            distance = np.minimum(distance, ((points - points[row, chosen[:, j]][:, None]) ** 2).sum(-1))
        kept = points[row[:, None], chosen]
        apart = ((kept[:, :, None] - points[:, None]) ** 2).sum(-1)
        nearest = np.argpartition(apart, near - 1, -1)[..., :near].astype(np.int64)
        stages.append((torch.from_numpy(chosen), torch.from_numpy(nearest)))
        points = kept
    return stages


class Packer:
    """Conversations about a batch of scenes, packed into bins of text.

    A turn lies in its bin as question + answer, without the tokens that all questions share (`before` the image and the
    newline `after` it).  The packed batch adds to the image batch:
    - ids, segment (-1 = empty), place (position inside the turn), target (-1 = none), weight: [B, T]
    - region_image, region_at, region_noun (-1 = not the answer) [R], points [R, n, 2], stages
    - for the guides, rows of (image, text index, what to look at): asked (.., noun), counted (.., noun or ANY), boxed
      (.., owner) with boxed_weight, coming (.., owner + 1, or 0 when nothing follows) and bracket (.., text index of the noun)
    - turns [(image, first and last + 1 text index of the answer, kind)]
    """

    def __init__(self, tokenizer, size, rng, nprng, mix='even', busy=0.):
        self.tokenizer, self.size, self.rng, self.nprng, self.busy = tokenizer, size, rng, nprng, busy
        self.turns, self.spans = [kind for kind, times in MIXES[mix].items() for _ in range(times)], SPANS[mix]
        pieces = [tokenizer.pieces.id_to_piece(i) for i in range(tokenizer.pieces.get_piece_size())]
        self.digits = {i for i, piece in enumerate(pieces) if len(piece) == 1 and piece.isdigit()}
        self.openers = {i for i, piece in enumerate(pieces) if '[' in piece}
        self.closers = {i for i, piece in enumerate(pieces) if ']' in piece}
        self.punctuation = {i for i, piece in enumerate(pieces) if piece in '[ ▁[ ] ], ]. , . ▁'.split()}
        self.before = torch.tensor([BOS] + tokenizer.encode(dialogue.opening()))
        self.after = torch.tensor(tokenizer.encode(dialogue.closing('?'))[:2])
        self.noun_words = torch.zeros(len(NOUNS), size.vocabulary)
        for row, noun in zip(self.noun_words, NOUNS):
            for i in tokenizer.encode(noun):
                row[i] += 1 / len(tokenizer.encode(noun))

    def batch(self, pool, count):
        scenes, batch = image_batch(pool, self.rng, count, self.size.grid, self.busy)
        total = BINS * LENGTH
        batch.__dict__.update(before=self.before, after=self.after, noun_words=self.noun_words)
        lists = SimpleNamespace(regions=[], points=[], asked=[], counted=[], boxed=[], boxed_weight=[], coming=[], bracket=[])
        batch.turns = []
        text = SimpleNamespace(ids=np.zeros((count, total), np.int64), segment=np.full((count, total), -1),
                               place=np.zeros((count, total), np.int64), target=np.full((count, total), -1),
                               weight=np.ones((count, total), np.float32))
        for b, scene in enumerate(scenes):
            seen = set(batch.owner[b].tolist())
            kinds = ['caption'] * (self.rng.random() < .75) + [self.rng.choice(self.turns) for _ in range(16)]
            ends = [k * LENGTH for k in range(BINS)]
            for number, kind in enumerate(kinds):
                turn = dialogue.make_turn(self.rng, scene, kind, self.rng.choice(self.spans))
                question = self.tokenizer.encode(dialogue.closing(turn.question))[2:]
                answer = self.tokenizer.encode(turn.answer) + [EOS]
                length = len(question) + len(answer) - 1
                bin_ = next((k for k in range(BINS) if ends[k] + length <= (k + 1) * LENGTH), None)
                if bin_ is not None:
                    self.put(text, lists, b, ends[bin_], number, question, answer)
                    self.guide(lists, b, ends[bin_], scene, seen, turn, question, answer)
                    first = ends[bin_] + len(question) - 1
                    batch.turns.append((b, first, first + len(answer), turn.kind))
                    ends[bin_] += length
        batch.__dict__.update({name: torch.from_numpy(array) for name, array in text.__dict__.items()})
        return self.finish(batch, lists)

    def put(self, text, lists, b, start, number, question, answer):
        tokens, body = question + answer, slice(start, start + len(question) + len(answer) - 1)
        text.ids[b, body], text.segment[b, body] = tokens[:-1], number
        text.place[b, body] = np.arange(len(tokens) - 1)
        first = start + len(question) - 1
        text.target[b, first:body.stop] = answer
        run = 0
        for i, token in enumerate(answer):
            run = run + 1 if token in self.digits else 0
            text.weight[b, first + i] = DIGIT_WEIGHTS[min(run, 3) - 1] if run else \
                PUNCTUATION_WEIGHT if token in self.punctuation else WORD_WEIGHT

    def guide(self, lists, b, start, scene, seen, turn, question, answer):
        if turn.mask is not None:
            noun = -1 if turn.subject is None else scene.things[turn.subject].noun
            lists.regions.append((b, start + question.index(self.tokenizer.region), noun))
            lists.points.append(region_points(self.nprng, turn.mask, self.size.points))
        nouns = []
        if turn.mask is None:
            for said in SAID_PATTERN.finditer(turn.question):
                at = start + len(self.tokenizer.encode('\n' + turn.question[:said.end()])) - 3
                nouns.append((b, at, SAID[said.group(1)]))
        lists.asked += nouns
        lists.counted += nouns
        if turn.kind == 'count':
            ends = start + len(question) - 1
            if not nouns:
                at = start + len(self.tokenizer.encode('\nHow many objects')) - 3
                nouns = [(b, at, ANY)]
                lists.counted += nouns
            lists.counted.append((b, ends, nouns[-1][2]))
        owners = {dialogue.box_text(scene, t): i for i, t in enumerate(scene.things)}
        self.foretell(lists, b, start + len(question) - 1, seen, turn, answer, owners)
        for box in BOX_PATTERN.finditer(turn.answer):
            if box.group() in owners:
                owner, spoken = owners[box.group()], turn.answer[:box.start()].rstrip()
                i = len(self.tokenizer.encode(spoken)) if spoken else 0
                at = start + len(question) + i
                assert answer[i] in self.openers, (turn, i)
                if spoken.endswith(NOUNS[scene.things[owner].noun]):
                    lists.bracket.append((b, at, at - 1))
                elif turn.kind == 'locate':
                    lists.bracket.append((b, at, nouns[-1][1]))
                while owner + 1 in seen and answer[i] not in self.closers:
                    lists.boxed.append((b, start + len(question) + i, owner))
                    lists.boxed_weight.append(BRACKET_WEIGHT if answer[i] in self.openers else INSIDE_WEIGHT)
                    i += 1

    def foretell(self, lists, b, before, seen, turn, answer, owners):
        """Which thing the answer speaks of next.  Answer token i is predicted at text index before + i."""
        if turn.subject is not None:
            spans = [(0, len(answer), turn.subject + 1)]
        elif turn.kind in ('yesno', 'count'):
            spans = []
        else:
            boxes = [owners[box.group()] for box in BOX_PATTERN.finditer(turn.answer)]
            openers = [i for i, token in enumerate(answer) if token in self.openers]
            closers = [i for i, token in enumerate(answer) if token in self.closers]
            begins = [0] + closers
            spans = [(begin, opener + 1, owner + 1) for begin, opener, owner in zip(begins, openers, boxes)]
            spans.append((begins[-1], begins[-1] + 1 + bool(boxes), 0))
        lists.coming += [(b, before + i, thing) for first, last, thing in spans for i in range(first, last)
                         if thing == 0 or thing in seen]

    def finish(self, batch, lists):
        for name in ('asked', 'counted', 'boxed', 'coming', 'bracket', 'regions'):
            rows = torch.tensor(getattr(lists, name), dtype=torch.long).view(-1, 3)
            setattr(batch, name, rows)
        batch.region_image, batch.region_at, batch.region_noun = batch.regions.unbind(1)
        batch.boxed_weight = torch.tensor(lists.boxed_weight)
        points = np.stack(lists.points) if lists.points else np.zeros((0, self.size.points, 2), np.float32)
        batch.points, batch.stages = torch.from_numpy(points), neighbourhoods(self.nprng, points, self.size)
        return batch
