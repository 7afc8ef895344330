"""Ferret as it is trained here: published architecture and tensor names, attention kept small, packed text.

Shapes use B images, N patches, P prefix tokens (system text, image, first newline), T text tokens, D tower width.
The readable whole model, for inference, is `ferret.py`; this file only adds what makes training on two cores bearable.
"""
import math
from typing import NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import nn

from arithmetic import FAST
from batches import BINS

FAR = -1e4          # added to the score of what must not be seen


class Sizes(NamedTuple):
    image: int = 144
    patch: int = 12
    tower_width: int = 192
    tower_layers: int = 6
    hidden: int = 192
    layers: int = 4
    mlp: int = 512
    head: int = 32
    vocabulary: int = 769
    points: int = 128
    stages: Tuple[int, ...] = (16, 4)
    neighbors: Tuple[int, ...] = (8, 8)
    norm_eps: float = 1e-5

    @property
    def grid(self):
        return self.image // self.patch


class Attend(torch.autograd.Function):
    """softmax(q k' / sqrt(d) + bias) v with scores kept in the type of q: in bfloat16 half the step time of float32."""

    @staticmethod
    def forward(ctx, q, k, v, bias):
        scores = torch.matmul(q * q.shape[-1] ** -.5, k.transpose(-1, -2))
        if bias is not None:
            scores += bias
        weights = torch.softmax(scores, -1)
        ctx.save_for_backward(q, k, v, weights)
        return torch.matmul(weights, v)

    @staticmethod
    def backward(ctx, grad):
        q, k, v, weights = ctx.saved_tensors
        grad, scale = grad.to(weights.dtype), q.shape[-1] ** -.5
        grad_v = torch.matmul(weights.transpose(-1, -2), grad)
        grad_weights = torch.matmul(grad, v.transpose(-1, -2))
        grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
        grad_q = torch.matmul(grad_scores, k) * scale
        grad_k = torch.matmul(grad_scores.transpose(-1, -2), q) * scale
        return grad_q, grad_k, grad_v, None


def attend(q, k, v, bias=None):
    with torch.autocast('cpu', enabled=False):
        return Attend.apply(q.to(FAST), k.to(FAST), v.to(FAST), bias)


class Attention(nn.Module):
    """Projections of one attention block under their published names; q, k and v run as one product."""

    def __init__(self, width, head, bias, out):
        super().__init__()
        self.head = head
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width, bias) for _ in range(3))
        self.out = out
        setattr(self, out, nn.Linear(width, width, bias))

    def qkv(self, x):
        """[B, L, width] -> three [B, heads, L, head]."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        weight = torch.cat([p.weight for p in parts])
        bias = None if self.q_proj.bias is None else torch.cat([p.bias for p in parts])
        batch, length, _ = x.shape
        return F.linear(x, weight, bias).view(batch, length, 3, -1, self.head).permute(2, 0, 3, 1, 4)

    def merge(self, heads):
        """[B, heads, L, head] -> [B, L, width], through the output projection."""
        return getattr(self, self.out)(heads.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """A bare container, so that nested names come out as published."""


class TowerLayer(nn.Module):
    def __init__(self, size):
        super().__init__()
        width = size.tower_width
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attn = Attention(width, size.head, True, 'out_proj')
        self.mlp = Block()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.self_attn.merge(attend(*self.self_attn.qkv(self.layer_norm1(x))))
        inner = self.mlp.fc1(self.layer_norm2(x))
        return x + self.mlp.fc2(inner * torch.sigmoid(1.702 * inner))


def sine_table(grid, width):
    """Start of the learned position table: 2-D sines with wavelengths from 2.5 to 40 patches; [grid * grid, width]."""
    quarter = width // 4
    frequency = 2 * math.pi / (2.5 * 16 ** (torch.arange(quarter) / (quarter - 1)))
    angle = torch.arange(grid)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], 1)
    columns, rows = line[None].expand(grid, grid, -1), line[:, None].expand(grid, grid, -1)
    return torch.cat([columns, rows], -1).reshape(grid * grid, width)


class Tower(nn.Module):
    """CLIP's vision transformer without its last norm."""

    def __init__(self, size):
        super().__init__()
        width, patches = size.tower_width, size.grid ** 2
        self.size = size
        self.embeddings = Block()
        self.embeddings.class_embedding = nn.Parameter(torch.randn(width) * .02)
        self.embeddings.patch_embedding = nn.Conv2d(3, width, size.patch, size.patch, bias=False)
        self.embeddings.position_embedding = nn.Embedding(patches + 1, width)
        self.pre_layrnorm = nn.LayerNorm(width)
        self.encoder = Block()
        self.encoder.layers = nn.ModuleList(TowerLayer(size) for _ in range(size.tower_layers))
        self.post_layernorm = nn.LayerNorm(width)      # published, never used

    def forward(self, image):
        """uint8 [B, side, side, 3] -> features [B, N, D] of the last layer, class token dropped."""
        batch, grid, patch = image.shape[0], self.size.grid, self.size.patch
        pixels = (image.float() / 255 - .5) / .25
        pixels = pixels.view(batch, grid, patch, grid, patch, 3).permute(0, 1, 3, 5, 2, 4).reshape(batch, grid * grid, -1)
        patches = F.linear(pixels, self.embeddings.patch_embedding.weight.flatten(1))
        start = self.embeddings.class_embedding.expand(batch, 1, -1)
        x = self.pre_layrnorm(torch.cat([start, patches], 1) + self.embeddings.position_embedding.weight)
        for layer in self.encoder.layers:
            x = layer(x)
        return x[:, 1:]


class RMSNorm(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x, turn):
    """RoPE, half-split; x [B, heads, L, head], turn = (cos, sin), each [B, 1, L, head / 2]."""
    (a, b), (cos, sin) = x.chunk(2, -1), turn
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class DecoderLayer(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.input_layernorm = RMSNorm(size.hidden, size.norm_eps)
        self.post_attention_layernorm = RMSNorm(size.hidden, size.norm_eps)
        self.self_attn = Attention(size.hidden, size.head, False, 'o_proj')
        self.mlp = Block()
        self.mlp.gate_proj = nn.Linear(size.hidden, size.mlp, bias=False)
        self.mlp.up_proj = nn.Linear(size.hidden, size.mlp, bias=False)
        self.mlp.down_proj = nn.Linear(size.mlp, size.hidden, bias=False)

    def qkv(self, x, turn):
        q, k, v = self.self_attn.qkv(self.input_layernorm(x))
        return rotate(q, turn).to(v.dtype), rotate(k, turn).to(v.dtype), v

    def finish(self, x, attended):
        x = x + self.self_attn.merge(attended)
        h = self.post_attention_layernorm(x)
        gate, up = F.linear(h, torch.cat([self.mlp.gate_proj.weight, self.mlp.up_proj.weight])).chunk(2, -1)
        return x + self.mlp.down_proj(F.silu(gate) * up)

    def forward(self, x, turn, prefix_bias, text_bias, last):
        """x [B, P + bins * length, hidden]: every bin of text sees the prefix and itself.  The last layer drops the prefix."""
        q, k, v = self.qkv(x, turn)
        self.seen = q, k                                            # what the guides of teachers.py look at
        batch, heads, _, head = q.shape
        (_, bins, length, _), prefix = text_bias.shape[1:], prefix_bias.shape[0]

        def binned(t):
            return t[:, :, prefix:].reshape(batch, heads, bins, length, head)

        def with_prefix(t):
            return torch.cat([t[:, :, None, :prefix].expand(batch, heads, bins, prefix, head), binned(t)], 3)

        text = attend(binned(q), with_prefix(k), with_prefix(v), text_bias).reshape(batch, heads, bins * length, head)
        if last:
            return self.finish(x[:, prefix:], text)
        image = attend(q[:, :, :prefix], k[:, :, :prefix], v[:, :, :prefix], prefix_bias)
        return self.finish(x, torch.cat([image, text], 2))


class Sampler(nn.Module):
    """GeoRegionSampler; which points, centres and neighbours is decided by the caller (`batches.neighbourhoods`)."""

    def __init__(self, size):
        super().__init__()
        width = size.tower_width
        self.diff_projector_list = nn.ModuleList(nn.Linear(width + 2, width + 2) for _ in size.stages)
        self.agg_projector_list = nn.ModuleList(Block() for _ in size.stages)
        for block in self.agg_projector_list:
            block.net = nn.ModuleList([nn.Conv1d(2 * (width + 2), width, 1)])
            block.norm = nn.LayerNorm(width)
        self.flatten_projector = nn.Linear(width * size.stages[-1], width)
        self.dim_projector = nn.Linear(width, size.hidden)

    def forward(self, features, image, points, stages):
        """features [B, N, D]; image [R] row of each region; points [R, n, 2] = (x / W, y / H);
        stages [(centres [R, m], neighbours [R, m, k])] -> [R, hidden]."""
        patches = features.shape[1]
        grid = math.isqrt(patches)
        at = (points * (grid - 1)).clamp(0, grid - 1 - 1e-4)
        cell = at.floor()
        wx, wy = (at - cell).split(1, -1)
        first = image[:, None] * patches + cell[..., 1].long() * grid + cell[..., 0].long()
        flat = features.flatten(0, 1)
        x = (flat[first] * (1 - wx) + flat[first + 1] * wx) * (1 - wy) \
            + (flat[first + grid] * (1 - wx) + flat[first + grid + 1] * wx) * wy
        x = torch.cat([x, points], -1)
        row = torch.arange(len(points))[:, None]
        for diff, agg, (centres, neighbours) in zip(self.diff_projector_list, self.agg_projector_list, stages):
            anchor, local = x[row, centres], x[row[..., None], neighbours]
            change = diff(local - anchor[:, :, None])
            both = torch.cat([change, anchor[:, :, None].expand_as(local).to(change.dtype)], -1)
            out = F.relu(F.linear(both, agg.net[0].weight[..., 0], agg.net[0].bias))
            x = torch.cat([agg.norm(out.float()).max(2)[0], anchor[..., -2:]], -1)
        return self.dim_projector(self.flatten_projector(x[..., :-2].flatten(1)))


class Ferret(nn.Module):
    """The whole network; state_dict() speaks the published names (tower under `vision_model.`)."""

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.vision_model = Tower(size)
        self.model = Block()
        self.model.mm_projector = nn.Linear(size.tower_width, size.hidden)
        self.model.region_geo_sampler = Sampler(size)
        self.model.embed_tokens = nn.Embedding(size.vocabulary, size.hidden)
        self.model.layers = nn.ModuleList(DecoderLayer(size) for _ in range(size.layers))
        self.model.norm = RMSNorm(size.hidden, size.norm_eps)
        self.lm_head = nn.Linear(size.hidden, size.vocabulary, bias=False)
        self.initialise()
        inv_freq = 10000. ** (-torch.arange(0, size.head, 2).float() / size.head)
        self.register_buffer('inv_freq', inv_freq, persistent=False)

    @torch.no_grad()
    def initialise(self):
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -.5 * .7)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for layer in self.vision_model.encoder.layers:
            nn.init.zeros_(layer.self_attn.out_proj.weight)
            nn.init.zeros_(layer.mlp.fc2.weight)
        for layer in self.model.layers:
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
        nn.init.normal_(self.model.embed_tokens.weight, std=.7)
        nn.init.zeros_(self.lm_head.weight)
        table = self.vision_model.embeddings.position_embedding.weight
        nn.init.normal_(table, std=.02)
        table[1:] = sine_table(self.size.grid, self.size.tower_width) * .6

    def turn(self, positions):
        """positions [B, L] -> (cos, sin), each [B, 1, L, head / 2]."""
        angle = positions[:, None, :, None].float() * self.inv_freq
        return angle.cos(), angle.sin()

    def prefix(self, features, before, after):
        """The tokens that every question about an image shares: system text, image, first newline.  [B, P, hidden] float32."""
        batch = features.shape[0]
        text = [self.model.embed_tokens.weight[ids].expand(batch, -1, -1) for ids in (before, after)]
        return torch.cat([text[0], self.model.mm_projector(features).float(), text[1]], 1)

    def packed(self, batch, features, regions, kept):
        """Hidden states [B, T, hidden] of packed text (see batches.Packer), after the final norm.  regions [R, hidden];
        kept [R] bool: whether this region's feature is shown."""
        text = self.model.embed_tokens(batch.ids).index_put(
            (batch.region_image[kept], batch.region_at[kept]), regions[kept].float())
        x = torch.cat([self.prefix(features, batch.before, batch.after), text], 1)
        count, prefix = len(x), x.shape[1] - text.shape[1]
        turn = self.turn(torch.cat([torch.arange(prefix).expand(count, prefix), prefix + batch.place], 1))
        segment = batch.segment.view(count, BINS, -1)
        same = segment[..., :, None] == segment[..., None, :]
        text_bias = causal_bias(segment.shape[-1]).masked_fill(~same, FAR)
        text_bias = torch.cat([torch.zeros_like(text_bias[..., :1]).expand(-1, -1, -1, prefix), text_bias], -1)[:, None]
        for i, layer in enumerate(self.model.layers):
            x = layer(x, turn, causal_bias(prefix), text_bias, i == len(self.model.layers) - 1)
        return self.model.norm(x)


def causal_bias(length):
    """[length, length]: 0 on and below the diagonal, FAR above."""
    return torch.full((length, length), FAR, dtype=FAST).triu_(1)
