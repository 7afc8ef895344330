"""Trains the default model's tokenizer: a small SentencePiece BPE with LLaMA's conventions, and the files around it.

    python3 vocabulary.py FOLDER
"""
import os
import random
import sys

import sentencepiece

import dialogue
import scenes
from checkpoint import write_json

PIECES = 768
SCENES = 300
ROUNDS = 12


def corpus():
    """Lines of training text: conversations about a few hundred scenes, and every noun often enough to become a piece."""
    rng = random.Random(0)
    drawn = [scenes.draw(seed) for seed in range(SCENES)]
    for _ in range(ROUNDS):
        for scene in drawn:
            for kind in dialogue.KINDS:
                turn = dialogue.make_turn(rng, scene, kind)
                yield dialogue.opening() + turn.question.replace(' <region_fea>', '') + ' ASSISTANT:'
                yield turn.answer
    for noun in scenes.NOUNS:
        line = 'Where is the %s? There is no %s in the image. Is there %s? How many %s are there? Where are %s, %s?'
        yield from [line % (noun, noun, dialogue.with_article(noun), dialogue.plural(noun), noun, noun)] * 40


def train(folder):
    os.makedirs(folder, exist_ok=True)
    model = os.path.join(folder, 'tokenizer.model')
    with open(model, 'wb') as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=corpus(), model_writer=file, model_type='bpe', vocab_size=PIECES, byte_fallback=True,
            split_digits=True, character_coverage=1.0, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, add_dummy_prefix=True,
            normalization_rule_name='identity', remove_extra_whitespaces=False, minloglevel=1)
    added = {name: {'content': text, 'lstrip': False, 'normalized': False, 'rstrip': False, 'single_word': False}
             for name, text in (('bos_token', '<s>'), ('eos_token', '</s>'), ('unk_token', '<unk>'))}
    special = dict(added, pad_token='<unk>')
    settings = {'add_bos_token': True, 'add_eos_token': False, 'clean_up_tokenization_spaces': False,
                'model_max_length': 2048, 'pad_token': None, 'padding_side': 'right', 'sp_model_kwargs': {},
                'tokenizer_class': 'LlamaTokenizer',
                **{name: dict(token, __type='AddedToken') for name, token in added.items()}}
    write_json(folder, 'added_tokens.json', {'<region_fea>': PIECES})
    write_json(folder, 'tokenizer_config.json', settings)
    write_json(folder, 'special_tokens_map.json', special)


if __name__ == '__main__':
    train(sys.argv[1])
