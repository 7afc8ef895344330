"""Checkpoint folders in the Hugging Face layout: safetensors, PyTorch shards, deltas over a base (specification 8)."""
import json
import os
import struct

import numpy as np
import torch

NUMPY_TYPES = {'F64': np.float64, 'F32': np.float32, 'F16': np.float16, 'I64': np.int64, 'I32': np.int32, 'U8': np.uint8}
NAMES = {np.dtype(t): name for name, t in NUMPY_TYPES.items()}


def read_json(*path):
    with open(os.path.join(*path)) as file:
        return json.load(file)


def write_json(folder, name, content):
    with open(os.path.join(folder, name), 'w') as file:
        json.dump(content, file, indent=2)
        file.write('\n')


def read_safetensors(path):
    """{name: array}; BF16 comes back as float32."""
    with open(path, 'rb') as file:
        header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
        body = file.read()
    header.pop('__metadata__', None)
    tensors = {}
    for name, entry in header.items():
        start, end = entry['data_offsets']
        if entry['dtype'] == 'BF16':
            data = (np.frombuffer(body[start:end], np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            data = np.frombuffer(body[start:end], NUMPY_TYPES[entry['dtype']])
        tensors[name] = data.reshape(entry['shape'])
    return tensors


def write_safetensors(path, tensors):
    """{name: array} -> file; names sorted, body aligned to 8 bytes."""
    header, offset = {'__metadata__': {'format': 'pt'}}, 0
    arrays = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in sorted(tensors.items())}
    for name, array in arrays.items():
        header[name] = {'dtype': NAMES[array.dtype], 'shape': list(array.shape), 'data_offsets': [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def read_file(path):
    if path.endswith('.safetensors'):
        return {name: torch.from_numpy(np.array(array)) for name, array in read_safetensors(path).items()}
    return torch.load(path, map_location='cpu')


def read_folder(folder):
    """All tensors of a checkpoint folder, in the type that they are stored in."""
    for name in ('model.safetensors', 'pytorch_model.bin'):
        index = os.path.join(folder, name + '.index.json')
        if os.path.exists(index):
            files = sorted(set(read_json(index)['weight_map'].values()))
            return {key: value for file in files for key, value in read_file(os.path.join(folder, file)).items()}
        if os.path.exists(os.path.join(folder, name)):
            return read_file(os.path.join(folder, name))
    raise FileNotFoundError('no model.safetensors, no pytorch_model.bin in ' + folder)


def apply_delta(delta, base):
    """base + delta in the stored type; rows that the base lacks, and tensors that it lacks, are the delta's own."""
    merged = {}
    for name, value in delta.items():
        value = value.clone()
        if name in base:
            rows = base[name].shape[0]
            value[:rows] = (value[:rows].float() + base[name].float()).to(value.dtype)
        merged[name] = value
    return merged
