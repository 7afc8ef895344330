"""Auxiliary losses of training.  None of this is needed (or stored) at run time.

A small Ferret trained on next tokens alone learns where objects are, but not which word belongs to which patch; these
losses say it directly.
- `Heads`: linear heads on the tower's patches: noun, size word, coordinates of the object under the patch, whether the patch
  stands for it (its anchor), its nearest neighbours in four directions, background.
- `lens`: projected patches and region features must already point at their noun's word vectors.
- `guides`: attention heads of the first three decoder layers are shown where to look: block 1 from a noun in the question
  to that noun's patches (to BOS when there are none), block 2 from the tokens of a box to its object's patches, block 0 from
  the `[` of a box back to the noun that it answers.  Two more heads of block 2 look ahead: from the words before a box to the
  patches of the object that comes next (to BOS when none does), and from a noun that is asked for evenly to BOS and to one
  patch of each such object, so that BOS gets 1 / (count + 1).
"""
import torch
import torch.nn.functional as F
from torch import nn

from network import FAR
from batches import ANY
from dialogue import DIRECTIONS
from scenes import COLOURS, NOUNS, SIZES, TEXTURES

BINS = 72           # classes of the soft coordinate head
GUIDED_HEADS = 2    # at a time
AHEAD = 2           # first of the heads that look ahead


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
        self.anchor = nn.Linear(width, 1)
        self.beside = nn.Linear(width, len(DIRECTIONS) * (len(NOUNS) + 1))
        self.beside_at = nn.Linear(width, len(DIRECTIONS) * 2)
        for head in self.children():
            nn.init.normal_(head.weight, std=width ** -.5 * .7)
            nn.init.zeros_(head.bias)

    def centres(self):
        """Middles of the patches in pixels, [N, 2]."""
        grid, patch = self.size.grid, self.size.patch
        n = torch.arange(grid * grid)
        return torch.stack([n % grid, n // grid], -1) * patch + patch / 2

    def boxes(self, features):
        """features [B, N, D] -> the box that every patch believes its object has, in pixels, float32 [B, N, 4]."""
        return self.edges(features).float() * 24 + self.centres().repeat(1, 2)

    def neighbours(self, owned, batch, on):
        """-> losses of the nouns and the middles of what is beside the owned patches' objects."""
        beside, middle = batch.beside[on], batch.beside_at[on].float()
        nouns = self.beside(owned).float().view(-1, len(NOUNS) + 1)
        nouns = F.cross_entropy(nouns, beside.flatten(), ignore_index=-1)
        centres = self.centres().expand(len(on), -1, -1)[on]
        found = self.beside_at(owned).float().view(-1, len(DIRECTIONS), 2) * 48 + centres[:, None]
        return nouns, F.smooth_l1_loss(found[beside > 0], middle[beside > 0], beta=2.) / 4

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

        anchor = F.binary_cross_entropy_with_logits(self.anchor(owned).float()[:, 0], batch.anchor[on].float())
        beside, beside_at = self.neighbours(owned, batch, on)

        loss = 3 * noun + .5 * digits + bins + edges + .3 * size_word + .1 * background + anchor + .1 * beside + .05 * beside_at
        return loss, {'noun': noun.item(), 'bins': bins.item(), 'pixels': (found - box).abs().mean().item(),
                      'size': size_word.item(), 'background': background.item(), 'anchor': anchor.item(), 'beside': beside.item(),
                      'beside_at': beside_at.item()}


def lens(net, batch, features, regions):
    """Cross entropy of projected object patches and named regions against the word vectors of all nouns, once through the
    embedding, once through lm_head."""
    on, named = batch.noun > 0, batch.region_noun >= 0
    vectors = torch.cat([net.model.mm_projector(features[on]).float(), regions[named].float()])
    nouns = torch.cat([batch.noun[on] - 1, batch.region_noun[named]])
    vectors = vectors * torch.rsqrt(vectors.pow(2).mean(-1, keepdim=True) + net.size.norm_eps)
    read = F.cross_entropy(vectors @ (batch.noun_words @ net.model.embed_tokens.weight).t() * .3, nouns)
    written = F.cross_entropy(vectors @ (batch.noun_words @ net.lm_head.weight).t(), nouns)
    return read + written


def scores(layer, image, at, keys, first=0):
    """Attention scores of the guided heads from `first` on: text rows (image, at) [G] against keys (a slice)
    -> [G, heads, keys], float32."""
    (q, k), heads = layer.seen, slice(first, first + GUIDED_HEADS)
    q, k = q[image, heads, at].float(), k[image, heads, keys].float()
    with torch.autocast('cpu', enabled=False):
        return torch.einsum('ghd,ghnd->ghn', q, k) * q.shape[-1] ** -.5


def missed(z, wanted):
    """- log of the softmax mass on wanted keys; z [G, heads, keys], wanted [G, keys] -> [G, heads]."""
    return torch.logsumexp(z, -1) - torch.logsumexp(z.masked_fill(~wanted[:, None], FAR), -1)


def guides(net, batch):
    """-> losses of the three guided layers: bracket (0), asked (1), boxed (2)."""
    layers, before = net.model.layers, len(batch.before)
    patches = slice(before, before + batch.noun.shape[1])
    prefix = patches.stop + len(batch.after)

    image, at, noun = batch.asked.unbind(1)
    wanted = torch.zeros(len(image), prefix, dtype=torch.bool)
    wanted[:, patches] = batch.noun[image] == noun[:, None] + 1
    wanted[:, 0] = ~wanted.any(1)
    asked = missed(scores(layers[1], image, prefix + at, slice(0, prefix)), wanted).mean()

    image, at, owner = batch.boxed.unbind(1)
    boxed = missed(scores(layers[2], image, prefix + at, patches), batch.owner[image] == owner[:, None] + 1)
    boxed = (boxed.clamp(max=20.).mean(1) * batch.boxed_weight).sum() / batch.boxed_weight.sum()

    image, at, target = batch.bracket.unbind(1)
    own = (batch.segment[image] == batch.segment[image, at][:, None]) & (torch.arange(batch.ids.shape[1]) <= at[:, None])
    visible = torch.cat([torch.ones(len(image), prefix, dtype=torch.bool), own], 1)
    z = scores(layers[0], image, prefix + at, slice(None)).masked_fill(~visible[:, None], FAR)
    bracket = F.cross_entropy(z.flatten(0, 1), (prefix + target).repeat_interleave(GUIDED_HEADS))
    return bracket, asked, boxed


def ahead(net, batch):
    """-> losses of the heads that look ahead: coming, counted."""
    layer, before = net.model.layers[2], len(batch.before)
    patches = slice(before, before + batch.noun.shape[1])
    prefix = patches.stop + len(batch.after)

    image, at, thing = batch.coming.unbind(1)
    wanted = torch.zeros(len(image), prefix, dtype=torch.bool)
    wanted[:, patches] = (batch.owner[image] == thing[:, None]) & (thing[:, None] > 0)
    wanted[:, 0] = thing == 0
    coming = missed(scores(layer, image, prefix + at, slice(0, prefix), AHEAD), wanted).clamp(max=20.).mean()

    image, at, noun = batch.counted.unbind(1)
    wanted = torch.zeros(len(image), prefix)
    asked = (noun[:, None] == ANY) | (batch.noun[image] == noun[:, None] + 1)
    wanted[:, patches] = (asked & (batch.anchor[image] > 0)).float()
    wanted[:, 0] = 1.
    wanted /= wanted.sum(1, keepdim=True)
    spread = torch.log_softmax(scores(layer, image, prefix + at, slice(0, prefix), AHEAD), -1)
    counted = (wanted[:, None] * (torch.log(wanted[:, None] + 1e-9) - spread)).sum(-1).clamp(max=20.).mean()
    return coming, counted


def joint_loss(net, batch, heads_weight, shown=.85):
    """Everything at once -> loss, {name: number} for the log, which targets would have been said (bool [targets]).  A region's
    feature is shown with probability `shown`."""
    features = net.vision_model(batch.image)
    regions = net.model.region_geo_sampler(features, batch.region_image, batch.points, batch.stages)
    hidden = net.packed(batch, features, regions, torch.rand(len(regions)) < shown)
    told = batch.target >= 0
    logits, target, weight = net.lm_head(hidden[told]).float(), batch.target[told], batch.weight[told]
    tokens = F.cross_entropy(logits, target, reduction='none')
    bracket, asked, boxed = guides(net, batch)
    coming, counted = ahead(net, batch)
    words = lens(net, batch, features, regions)
    heads, facts = net.teachers(features, batch)
    loss = (tokens * weight).sum() / weight.sum() + .3 * (words + asked + bracket + coming + counted) + .6 * boxed \
        + heads_weight * heads
    right = logits.argmax(-1) == target
    return loss, dict(facts, tokens=tokens.mean().item(), right=right.float().mean().item(),
                      words=words.item(), bracket=bracket.item(), asked=asked.item(), boxed=boxed.item(),
                      coming=coming.item(), counted=counted.item()), right
