"""How good a run is, measured on scenes that neither training nor evaluation sees, with the right answer's tokens given.

An answer counts as right when every word of it would have been said; coordinates show up in the tower's error in pixels.  That
costs one forward pass instead of one for every token; `evaluate.py` measures real answers.
"""
import random
from collections import defaultdict

import numpy as np
import torch

import scenes
from arithmetic import autocast
from batches import Packer
from teachers import joint_loss

FIRST_SEED = 5000000
COUNT, TOGETHER = 96, 8


class Drawn:
    """A pool of the scenes to check on."""

    def __init__(self):
        self.scenes = [scenes.draw(FIRST_SEED + i) for i in range(COUNT)]

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        return self.scenes[index]


class Check:
    def __init__(self, tokenizer, net):
        """net: of the trained one's shape; its weights are replaced at every check."""
        self.tokenizer, self.net, self.pool = tokenizer, net, Drawn()

    @torch.no_grad()
    def __call__(self, weights):
        """-> {'check_' + measure: number}: percent of right answers by kind of question, loss, pixels."""
        self.net.load_state_dict(weights)
        packer = Packer(self.tokenizer, self.net.size, random.Random(1), np.random.default_rng(1))
        words = torch.ones(self.net.size.vocabulary, dtype=torch.bool)
        words[sorted(packer.digits | packer.punctuation)] = False
        found = defaultdict(list)
        for _ in range(COUNT // TOGETHER):
            batch = packer.batch(self.pool, TOGETHER)
            with autocast():
                loss, facts, right = joint_loss(self.net, batch, 0., shown=1.)
            found['loss'].append(facts['tokens'])
            found['pixels'].append(facts['pixels'])
            said = torch.ones(batch.target.shape, dtype=torch.bool)
            said[batch.target >= 0] = right
            said |= ~words[batch.target.clamp(min=0)]
            for image, first, last, kind in batch.turns:
                found[kind].append(100. * float(said[image, first:last].all()))
        return {'check_' + kind: round(float(np.mean(values)), 3) for kind, values in sorted(found.items()) if kind != 'locate'}
