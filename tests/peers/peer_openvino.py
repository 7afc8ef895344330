"""OpenVINO: the layers as a graph built by hand (RMS norm, RoPE, causal attention by its own operation), prefill only.
`peer_openvino.py DTYPE LAYERS THREADS FOLDER [tiny]`

Settings: latency hint, one stream, as many threads as cores, pinned; f32 or bf16 by the inference precision hint; int8 are
weights of 8 bits with a scale a row, and dynamic quantisation of activations in groups of 32, or of a whole row, whichever
is faster; where the processor has no instructions for that OpenVINO unpacks the weights to f32 by itself."""
import math
import sys

import numpy as np
import openvino as ov
import openvino.opset13 as op

import layer


def weight(rows, columns, dtype):
    values = layer.matrix(rows, columns)
    if dtype != 'int8':
        return op.constant(values)
    scale = np.abs(values).max(1, keepdims=True) / 127
    packed = op.convert(op.constant(np.round(values / scale).astype(np.int8)), 'f32')
    return op.multiply(packed, op.constant(scale))


def product(x, rows, columns, dtype):
    return op.matmul(x, weight(rows, columns, dtype), False, True)


def norm(x, dims):
    squares = op.reduce_mean(op.multiply(x, x), op.constant([-1]), True)
    root = op.sqrt(op.add(squares, op.constant(np.float32(dims.eps))))
    return op.multiply(op.divide(x, root), op.constant(layer.ones(dims.hidden)))


def heads_of(x, dims):
    shape = op.constant([1, dims.prefix, dims.heads, dims.hidden // dims.heads])
    return op.transpose(op.reshape(x, shape, False), op.constant([0, 2, 1, 3]))


def rotate(x, cos, sin):
    low, high = op.split(x, op.constant(3), 2).outputs()
    turned = op.concat([op.negative(high), low], 3)
    return op.add(op.multiply(x, cos), op.multiply(turned, sin))


def build(layers, dims, dtype):
    head = dims.hidden // dims.heads
    angle = np.arange(dims.prefix)[:, None] * dims.theta ** (-np.arange(0, head, 2) / head)
    angle = np.concatenate([angle, angle], 1).astype(np.float32)[None, None]
    cos, sin = op.constant(np.cos(angle)), op.constant(np.sin(angle))
    start = op.parameter([1, dims.prefix, dims.hidden], np.float32)
    x = start
    for _ in range(layers):
        h = norm(x, dims)
        q, k, v = (heads_of(product(h, dims.hidden, dims.hidden, dtype), dims) for _ in range(3))
        mixed = op.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, causal=True)
        mixed = op.reshape(op.transpose(mixed, op.constant([0, 2, 1, 3])), op.constant([1, dims.prefix, dims.hidden]), False)
        x = op.add(x, product(mixed, dims.hidden, dims.hidden, dtype))
        h = norm(x, dims)
        gate = op.swish(product(h, dims.mlp, dims.hidden, dtype))
        x = op.add(x, product(op.multiply(gate, product(h, dims.mlp, dims.hidden, dtype)), dims.hidden, dims.mlp, dtype))
    return ov.Model([x], [start])


def compile_model(core, model, dtype, threads, group):
    settings = {'PERFORMANCE_HINT': 'LATENCY', 'NUM_STREAMS': 1, 'INFERENCE_NUM_THREADS': threads, 'ENABLE_CPU_PINNING': True,
                'INFERENCE_PRECISION_HINT': 'bf16' if dtype == 'bf16' else 'f32'}
    if dtype == 'int8':
        settings['DYNAMIC_QUANTIZATION_GROUP_SIZE'] = group
    return core.compile_model(model, 'CPU', settings).create_infer_request()


def main(dtype, layers, threads, folder, tiny=None):
    dims, threads, core = layer.Dims(tiny), int(threads), ov.Core()
    if dtype == 'bf16' and 'BF16' not in core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        sys.exit('no bf16 on this processor')
    model = build(int(layers), dims, dtype)
    x = np.resize(layer.matrix(1, 1 << 20), (1, dims.prefix, dims.hidden))
    groups = (32, dims.hidden) if dtype == 'int8' else (0,)

    def timed(request):
        return layer.seconds(threads, lambda: request.infer([x]))

    request, best = None, math.inf
    for group in groups:
        other = compile_model(core, model, dtype, threads, group)
        timed(other)
        took = timed(other) if len(groups) > 1 else 0
        if took < best:
            request, best = other, took
    layer.serve(lambda words: timed(request) if words[0] == 'prefill' else None)


main(*sys.argv[1:])
