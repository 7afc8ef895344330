"""CTranslate2: a LLaMA of its own specs from numpy, int8 or float32. `peer_ctranslate2.py DTYPE LAYERS THREADS FOLDER [tiny]`

Settings: one replica, as many intra-op threads as cores, `static_prompt` with its cache for what answers share, batch of
all answers. A decoded token is the difference of longer and shorter answers."""
import os
import sys

import ctranslate2
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec

import layer

SHORT, LONG = 4, 12
TYPES = {'int8': 'int8', 'f32': 'float32'}


def linear(spec, *shape):
    spec.weight = layer.matrix(*shape)


def write(folder, layers, dims, quantization):
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        layers, dims.heads, activation=common_spec.Activation.SWISH, pre_norm=True, ffn_glu=True, rms_norm=True, rotary_dim=0,
        rotary_interleave=False, rotary_base=dims.theta, num_heads_kv=dims.heads)
    decoder, hidden, mlp = spec.decoder, dims.hidden, dims.mlp
    decoder.scale_embeddings = False
    decoder.embeddings.weight = layer.matrix(layer.VOCABULARY, hidden)
    decoder.layer_norm.gamma = layer.ones(hidden)
    linear(decoder.projection, layer.VOCABULARY, hidden)
    for one in decoder.layer:
        one.self_attention.layer_norm.gamma = layer.ones(hidden)
        linear(one.self_attention.linear[0], 3 * hidden, hidden)
        linear(one.self_attention.linear[1], hidden, hidden)
        one.ffn.layer_norm.gamma = layer.ones(hidden)
        linear(one.ffn.linear_0, mlp, hidden)
        linear(one.ffn.linear_0_noact, mlp, hidden)
        linear(one.ffn.linear_1, hidden, mlp)
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = 't0', 't1', 't2'
    spec.config.layer_norm_epsilon = dims.eps
    spec.register_vocabulary([f't{i}' for i in range(layer.VOCABULARY)])
    spec.validate()
    if quantization == 'int8':
        spec.optimize(quantization='int8')
    os.makedirs(folder, exist_ok=True)
    spec.save(folder)


def main(dtype, layers, threads, folder, tiny=None):
    dims, threads = layer.Dims(tiny), int(threads)
    if dtype not in TYPES or TYPES[dtype] not in ctranslate2.get_supported_compute_types('cpu'):
        sys.exit(f'no {dtype} on this processor')
    write(folder, int(layers), dims, TYPES[dtype])
    model = ctranslate2.Generator(folder, device='cpu', compute_type=TYPES[dtype], inter_threads=1, intra_threads=threads)
    prefix = [f't{3 + i % (layer.VOCABULARY - 3)}' for i in range(dims.prefix)]
    ids = [[3 + i % (layer.VOCABULARY - 3) for i in range(dims.prefix)]]

    def answers(count, tokens, own, cached=True):
        prompts = [prefix[:own]] * count if cached else [prefix + prefix[:own]] * count
        model.generate_batch(prompts, max_batch_size=count, static_prompt=prefix if cached else None, cache_static_prompt=cached,
                             include_prompt_in_result=False, min_length=tokens, max_length=tokens, sampling_topk=1)

    def turn(words):
        what, n = words[0], int(words[1]) if len(words) > 1 else 0
        if what == 'prefill':
            return layer.seconds(threads, lambda: model.forward_batch(np.array(ids, np.int32).tolist()))
        if what == 'decode':
            long, short = (layer.seconds(threads, lambda: answers(n, tokens, layer.OWN - SHORT)) for tokens in (LONG, SHORT))
            return max(0., long - short) / (LONG - SHORT)
        if what == 'single':
            return layer.seconds(threads, lambda: answers(1, n, layer.QUESTION, cached=False))
        return layer.seconds(threads, lambda: answers(1, n, layer.QUESTION)) if what == 'cached' else None

    answers(1, 1, 1)        # the cache of the shared prompt is filled
    layer.serve(turn)


main(*sys.argv[1:])
