"""A checkpoint whose regions carry no image feature: the sampler answers with the region token's own embedding, whatever it sees.
So the unchanged program measures what coordinates alone are worth."""
import json
import os
import shutil
import struct

from .records import Problem, read_json

WEIGHT, BIAS = 'model.region_geo_sampler.dim_projector.weight', 'model.region_geo_sampler.dim_projector.bias'
EMBEDDING = 'model.embed_tokens.weight'


def parts(data):
    """A safetensors file's bytes -> {name: (first, last + 1, shape, dtype)}."""
    size = struct.unpack('<Q', data[:8])[0]
    header = json.loads(bytes(data[8:8 + size]))
    return {name: (8 + size + t['data_offsets'][0], 8 + size + t['data_offsets'][1], t['shape'], t['dtype'])
            for name, t in header.items() if name != '__metadata__'}


def withhold(source, folder):
    """Copies the one-file checkpoint `source` to `folder` (made anew), regions withheld.  All dtypes: it only moves bytes."""
    path = os.path.join(source, 'model.safetensors')
    if not os.path.isfile(path):
        raise Problem('%s: expected a checkpoint in one file, model.safetensors' % source)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    data = bytearray(open(path, 'rb').read())
    at, token = parts(data), read_json(os.path.join(source, 'config.json'))['im_region_fea_token']
    for name in (WEIGHT, BIAS, EMBEDDING):
        if name not in at:
            raise Problem('%s: no tensor %s' % (path, name))
    if at[BIAS][3] != at[EMBEDDING][3]:
        raise Problem('%s: %s and %s differ in type' % (path, BIAS, EMBEDDING))
    first, last = at[WEIGHT][:2]
    data[first:last] = bytes(last - first)              # a zero in every floating-point type
    row = at[BIAS][1] - at[BIAS][0]
    start = at[EMBEDDING][0] + token * row
    data[at[BIAS][0]:at[BIAS][1]] = data[start:start + row]
    with open(os.path.join(folder, 'model.safetensors'), 'wb') as file:
        file.write(data)
