"""Decoder layers of the sizes of Ferret-7B and 13B without their weights: every weight is a formula that any language can
compute quickly, so that an implementation can be checked at full width."""
import math

import numpy as np

FORMULA = ('x = seed * 0x9E3779B97F4A7C15 + i (mod 2^64), i the flat row-major index; x ^= x>>30; x *= 0xbf58476d1ce4e5b9; '
           'x ^= x>>27; x *= 0x94d049bb133111eb; x ^= x>>31; u = ((float)(x>>40) * 2^-24 - 0.5) * 2, exact in float32; '
           'matrices and input: u * scale (powers of two: exact); norm weights: 1.0f + 0.1f * u')


def uniform(seed, start, count):
    """u(seed, i) in [-1, 1) for i = start .. start + count - 1, float32, exact."""
    with np.errstate(over='ignore'):
        x = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.arange(start, start + count, dtype=np.uint64)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xbf58476d1ce4e5b9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94d049bb133111eb)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(40)).astype(np.float32) * np.float32(2 ** -24) - np.float32(.5)) * np.float32(2)


def product(x, seed, rows, scale, block=256):
    """x [T, columns] float64 times a formula's matrix [rows, columns], transposed; made in blocks of rows."""
    columns = x.shape[1]
    out = np.empty((len(x), rows))
    for row in range(0, rows, block):
        n = min(block, rows - row)
        weight = uniform(seed, row * columns, n * columns).reshape(n, columns) * np.float32(scale)
        out[:, row:row + n] = x @ weight.astype(np.float64).T
    return out


def rms_norm(x, seed, eps):
    weight = np.float32(1) + np.float32(.1) * uniform(seed, 0, x.shape[1])
    return x / np.sqrt((x * x).mean(1, keepdims=True) + eps) * weight


def run_layers(hidden, heads, mlp, tokens=5, layers=2, eps=1e-6):
    """Two decoder layers and the final norm in float64 -> the entry of layers.json."""
    head = hidden // heads
    x = uniform(1, 0, tokens * hidden).reshape(tokens, hidden).astype(np.float64)
    inv_freq = np.float32(1) / np.float32(10000) ** (np.arange(0, head, 2, dtype=np.float32) / np.float32(head))
    angle = (np.arange(tokens, dtype=np.float32)[:, None] * inv_freq).astype(np.float64)
    future = np.triu(np.ones((tokens, tokens), bool), 1)
    named = {}

    def linear(v, name, rows, scale):
        named[name] = {'seed': 100 + len(named), 'shape': [rows, v.shape[1]], 'scale': scale}
        return product(v, named[name]['seed'], rows, scale)

    def norm(v, name):
        named[name] = {'seed': 100 + len(named), 'shape': [hidden], 'norm': True}
        return rms_norm(v, named[name]['seed'], eps)

    def turn(v):
        a, b = np.split(v, 2, -1)
        return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], -1)

    for i in range(layers):
        at = 'model.layers.%d.' % i
        h = norm(x, at + 'input_layernorm.weight')
        q, k, v = (linear(h, at + 'self_attn.%s_proj.weight' % p, hidden, 2. ** -5).reshape(tokens, heads, head).transpose(1, 0, 2)
                   for p in 'qkv')
        scores = turn(q) @ turn(k).transpose(0, 2, 1) / math.sqrt(head)
        weights = np.exp(np.where(future, -np.inf, scores - scores.max(-1, keepdims=True)))
        mixed = weights / weights.sum(-1, keepdims=True) @ v
        x = x + linear(mixed.transpose(1, 0, 2).reshape(tokens, hidden), at + 'self_attn.o_proj.weight', hidden, 2. ** -5)
        h = norm(x, at + 'post_attention_layernorm.weight')
        gate = linear(h, at + 'mlp.gate_proj.weight', mlp, 2. ** -5)
        up = linear(h, at + 'mlp.up_proj.weight', mlp, 2. ** -5)
        x = x + linear(gate / (1 + np.exp(-gate)) * up, at + 'mlp.down_proj.weight', hidden, 2. ** -6)
    out = norm(x[-1:], 'model.norm.weight')[0]
    return {'hidden': hidden, 'layers': layers, 'heads': heads, 'mlp': mlp, 'rms_norm_eps': eps, 'rope_theta': 10000.,
            'tokens': tokens, 'input': {'seed': 1, 'shape': [tokens, hidden], 'scale': 1.}, 'tensors': named,
            'last_token_first_64': [float(np.float32(v)) for v in out[:64]], 'largest': float(abs(out).max()),
            'sum': float(out.sum()), 'sumsq': float((out ** 2).sum())}
