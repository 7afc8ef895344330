"""Auxiliary losses of training.  None of this is needed (or stored) at run time.

A small Ferret trained on next tokens alone learns where objects are, but not which word belongs to which patch; these
losses say it directly.
- `Heads`: linear heads on the tower's patches: noun, size word, coordinates of the object under the patch, background.
- `lens`: projected patches and region features must already point at their noun's word vectors.
- `guides`: two attention heads of the first three decoder layers are shown where to look: block 1 from a noun in the question
  to that noun's patches (to BOS when there are none), block 2 from the tokens of a box to its object's patches, block 0 from
  the `[` of a box back to the noun that it answers.
"""
import torch
import torch.nn.functional as F
from torch import nn

from scenes import COLOURS, NOUNS, SIZES, TEXTURES

BINS = 72
GUIDED_HEADS = 2
FAR = -1e4


class Heads(nn.Module):
    def __init__(self, size):
        super().__init__()
        width = size.tower_width
        self.size = size
        self.noun = nn.Linear(width, len(NOUNS) + 1)
        self.digits = nn.Linear(width, 4 * 3 * 10)
        self.bins = nn.Linear(width, 4 * BINS)
        self.edges = nn.Linear(width, 4)
        self.size_word = nn.Linear(width, len(SIZES))
        self.background = nn.Linear(width, len(COLOURS) + len(TEXTURES))
        for head in self.children():
            nn.init.normal_(head.weight, std=width ** -.5 * .7)
            nn.init.zeros_(head.bias)

    def boxes(self, features):
        """features [B, N, D] -> the box that every patch believes its object has, in pixels, float32 [B, N, 4]."""
        grid, patch = self.size.grid, self.size.patch
        n = torch.arange(grid * grid)
        centre = torch.stack([n % grid, n // grid] * 2, -1) * patch + patch / 2
        return self.edges(features).float() * 24 + centre

    def forward(self, features, batch):
        """-> loss, {name: number} for the log."""
        noun = F.cross_entropy(self.noun(features).float().flatten(0, 1), batch.noun.flatten())
        on = batch.noun > 0
        owned, box = features[on], batch.box[on].float()

        digits = F.cross_entropy(self.digits(owned).float().view(-1, 10), batch.digits[on].flatten(), reduction='none')
        digits = (digits.view(-1, 4, 3) * torch.tensor([1., .8, .35])).mean()

        centres = (torch.arange(BINS) + .5) * (self.size.image / BINS)
        soft = torch.softmax(-.5 * ((box[..., None] - centres) / 2.5) ** 2, -1)
        guess = torch.log_softmax(self.bins(owned).float().view(-1, 4, BINS), -1)
        bins = (soft * (torch.log(soft + 1e-9) - guess)).sum(-1).mean()

        found = self.boxes(features)[on]
        edges = F.smooth_l1_loss(found, box, beta=2.) / 4

        size_word = F.cross_entropy(self.size_word(owned).float(), batch.size_word[on])
        colour, texture = self.background(features.mean(1)).float().split((len(COLOURS), len(TEXTURES)), 1)
        background = F.cross_entropy(colour, batch.background[:, 0]) + F.cross_entropy(texture, batch.background[:, 1])

        loss = 3 * noun + .5 * digits + bins + edges + .3 * size_word + .1 * background
        return loss, {'noun': noun.item(), 'bins': bins.item(), 'pixels': (found - box).abs().mean().item(),
                      'size': size_word.item(), 'background': background.item()}
