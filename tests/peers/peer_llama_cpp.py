"""llama.cpp through llama-cpp-python's own bindings: GGUF written here, Q8_0, BF16 or F32.
`peer_llama_cpp.py DTYPE LAYERS THREADS FOLDER [tiny]`

Settings: built for this processor, as many threads as cores, a whole prompt a batch, flash attention or none, whichever is
faster, one cache for all sequences so that they share a prefix."""
import ctypes
import math
import os
import sys

import gguf
import llama_cpp as ll
import numpy as np

import layer

TYPES = {'int8': gguf.GGMLQuantizationType.Q8_0, 'bf16': gguf.GGMLQuantizationType.BF16, 'f32': gguf.GGMLQuantizationType.F32}
CONTEXT = 2048
SEQUENCES = 16


def write(path, layers, dims, kind):
    out = gguf.GGUFWriter(path, 'llama')
    out.add_context_length(CONTEXT)
    out.add_embedding_length(dims.hidden)
    out.add_block_count(layers)
    out.add_feed_forward_length(dims.mlp)
    out.add_head_count(dims.heads)
    out.add_head_count_kv(dims.heads)
    out.add_rope_dimension_count(dims.hidden // dims.heads)
    out.add_layer_norm_rms_eps(dims.eps)
    out.add_tokenizer_model('no_vocab')
    out.add_vocab_size(layer.VOCABULARY)

    def add(name, rows, columns=None):
        if columns is None:
            out.add_tensor(name, layer.ones(rows))
        else:
            values = layer.matrix(rows, columns)
            out.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    add('token_embd.weight', layer.VOCABULARY, dims.hidden)
    add('output_norm.weight', dims.hidden)
    add('output.weight', layer.VOCABULARY, dims.hidden)
    for i in range(layers):
        add(f'blk.{i}.attn_norm.weight', dims.hidden)
        add(f'blk.{i}.ffn_norm.weight', dims.hidden)
        for name in 'qkv':
            add(f'blk.{i}.attn_{name}.weight', dims.hidden, dims.hidden)
        add(f'blk.{i}.attn_output.weight', dims.hidden, dims.hidden)
        add(f'blk.{i}.ffn_gate.weight', dims.mlp, dims.hidden)
        add(f'blk.{i}.ffn_up.weight', dims.mlp, dims.hidden)
        add(f'blk.{i}.ffn_down.weight', dims.hidden, dims.mlp)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


class Runner:
    def __init__(self, model, threads, dims, flash):
        self.threads, self.dims, self.flash = threads, dims, flash
        settings = ll.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = CONTEXT, 1024, 1024, SEQUENCES
        settings.n_threads = settings.n_threads_batch = threads
        settings.kv_unified, settings.flash_attn_type, settings.no_perf = True, int(flash), True
        self.context = ll.llama_init_from_model(model, settings)
        if not self.context:
            raise RuntimeError('llama.cpp makes no context')
        self.batch = ll.llama_batch_init(1024, 0, 1)

    def run(self, rows):
        """rows [(sequence, position)]; logits of the last only."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (sequence, position) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = 3 + position % (layer.VOCABULARY - 3), position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, i == len(rows) - 1
        if ll.llama_decode(self.context, batch) != 0:
            raise RuntimeError('llama_decode failed')

    def clear(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)

    def prefix(self, sequences=1):
        self.run([(0, i) for i in range(self.dims.prefix)])
        for other in range(1, sequences):
            ll.llama_memory_seq_cp(ll.llama_get_memory(self.context), 0, other, -1, -1)

    def seconds(self, call):
        return layer.seconds(self.threads, call)

    def prefill(self):
        self.clear()
        return self.seconds(self.prefix)

    def decode(self, n):
        self.clear()
        self.prefix(n)
        at = self.dims.prefix
        self.run([(s, at + i) for s in range(n) for i in range(layer.OWN - 1)])
        return self.seconds(lambda: self.run([(s, at + layer.OWN - 1) for s in range(n)]))

    def answer(self, tokens):
        at = self.dims.prefix
        self.run([(0, at + i) for i in range(layer.QUESTION)])
        for i in range(tokens):
            self.run([(0, at + layer.QUESTION + i)])

    def single(self, tokens):
        self.clear()
        return self.seconds(lambda: (self.prefix(), self.answer(tokens)))

    def cached(self, tokens):
        self.clear()
        self.prefix()
        return self.seconds(lambda: self.answer(tokens))


def main(dtype, layers, threads, folder, tiny=None):
    dims = layer.Dims(tiny)
    path = os.path.join(folder, 'model.gguf')
    os.makedirs(folder, exist_ok=True)
    write(path, int(layers), dims, TYPES[dtype])
    silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    ll.llama_log_set(silent, None)
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(path.encode(), ll.llama_model_default_params())
    if not model:
        sys.exit('llama.cpp does not read the model')
    runners = [Runner(model, int(threads), dims, flash) for flash in (False, True)]

    def turn(words):
        what = words[0]
        if what == 'regions':
            return None
        return min((getattr(r, what)(*map(int, words[1:])) for r in runners), default=math.inf)

    layer.serve(turn)


main(*sys.argv[1:])
