"""A training checkpoint, or the mean of several of one family, as a model folder in the published layout, float16.

    python3 export.py TRAINED.pt [TRAINED.pt ...] FOLDER
"""
import os
import sys

import numpy as np
import torch

import dialogue
from checkpoint import write_json, write_safetensors
from network import Sizes
from vocabulary import PIECES

DOMAIN = ('Drawn scenes of one to five emoji objects (80 nouns: animals, vehicles, food, things) on plain or textured '
          'backgrounds; it knows nothing about photographs.')
LICENCE = 'that of this repository; trained on drawings made with Noto Color Emoji (SIL OFL 1.1)'


def ferret_config(hidden, layers, heads, mlp, vocabulary, tower_width, select_layer, pooler='max', **more):
    """config.json: LLaMA's keys and Ferret's."""
    return {
        'architectures': ['FERRETLlamaForCausalLM'], 'model_type': 'ferret', 'bos_token_id': 1, 'eos_token_id': 2,
        'pad_token_id': 0, 'hidden_act': 'silu', 'hidden_size': hidden, 'initializer_range': 0.02,
        'intermediate_size': mlp, 'max_position_embeddings': 2048, 'num_attention_heads': heads,
        'num_hidden_layers': layers, 'rms_norm_eps': 1e-5, 'tie_word_embeddings': False, 'torch_dtype': 'float16',
        'use_cache': True, 'vocab_size': vocabulary, 'freeze_mm_mlp_adapter': False,
        'im_region_fea_token': vocabulary - 1, 'image_aspect_ratio': 'square_nocrop', 'image_grid_pinpoints': None,
        'mm_hidden_size': tower_width, 'mm_use_im_patch_token': False, 'mm_use_im_start_end': False,
        'mm_vision_select_feature': 'patch', 'mm_vision_select_layer': select_layer, 'mm_vision_tower': 'vision_tower',
        'region_geo_sampler': True, 'sampler_pooler_mode': pooler, 'tune_mm_mlp_adapter': False, 'use_mm_proj': True, **more}


def tower_config(width, layers, heads, image, patch):
    return {'architectures': ['CLIPVisionModel'], 'model_type': 'clip_vision_model', 'hidden_act': 'quick_gelu',
            'hidden_size': width, 'intermediate_size': 4 * width, 'num_hidden_layers': layers,
            'num_attention_heads': heads, 'num_channels': 3, 'image_size': image, 'patch_size': patch,
            'layer_norm_eps': 1e-5, 'projection_dim': width, 'torch_dtype': 'float16'}


def write_tower(folder, config, weights, mean, std):
    """vision_tower/ with its three files; weights {name under vision_model.: float16 array}."""
    os.makedirs(folder, exist_ok=True)
    write_json(folder, 'config.json', config)
    write_json(folder, 'preprocessor_config.json', {
        'crop_size': config['image_size'], 'do_center_crop': False, 'do_normalize': True, 'do_resize': True,
        'feature_extractor_type': 'CLIPFeatureExtractor', 'image_mean': [mean] * 3, 'image_std': [std] * 3, 'resample': 3,
        'size': config['image_size']})
    write_safetensors(os.path.join(folder, 'model.safetensors'), {'vision_model.' + n: w for n, w in weights.items()})


def write_generation(folder):
    write_json(folder, 'generation_config.json', {'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 0})


def export(*paths):
    *trained, folder = paths
    size, averages = Sizes(), [torch.load(path)['average'] for path in trained]
    weights = {name: (sum(average[name] for average in averages) / len(averages)).to(torch.float16).numpy()
               for name in averages[0] if not name.startswith('teachers.')}
    assert all(np.isfinite(w).all() for w in weights.values())
    tower = {name[len('vision_model.'):]: w for name, w in weights.items() if name.startswith('vision_model.')}
    rest = {name: w for name, w in weights.items() if not name.startswith('vision_model.')}
    write_tower(os.path.join(folder, 'vision_tower'),
                tower_config(size.tower_width, size.tower_layers, size.tower_width // size.head, size.image, size.patch),
                tower, .5, .25)
    write_safetensors(os.path.join(folder, 'model.safetensors'), rest)
    write_json(folder, 'config.json', ferret_config(
        size.hidden, size.layers, size.hidden // size.head, size.mlp, PIECES + 1, size.tower_width, -1,
        ferret_sampler={'points': size.points, 'stages': size.stages, 'neighbors': size.neighbors, 'transposed': False},
        ferret_template=dialogue.TEMPLATE, ferret_tasks=dialogue.TASKS, domain=DOMAIN, licence=LICENCE))
    write_generation(folder)


if __name__ == '__main__':
    export(*sys.argv[1:])
