"""Text to ids and back, as the tokenizer that Ferret was trained with does it (specification 6.3 and 7.2)."""
import json
import os
import re

import sentencepiece

BOS, EOS, UNK = 1, 2, 0
IMAGE = -200
CONTROL = {'<s>': BOS, '</s>': EOS, '<unk>': UNK}
REGION_TEXT = '<region_fea>'
CUT = re.compile('(<s>|</s>|<unk>|<region_fea>)')
CLEAN_UP = [(' .', '.'), (' ?', '?'), (' !', '!'), (' ,', ','), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
            (" 's", "'s"), (" 've", "'ve"), (" 're", "'re")]


class Tokenizer:
    def __init__(self, folder):
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=os.path.join(folder, 'tokenizer.model'))
        with open(os.path.join(folder, 'added_tokens.json')) as file:
            self.region = json.load(file)[REGION_TEXT]

    def encode(self, text):
        """Ids without BOS.  Each stretch between special tokens gets its own dummy prefix; `<region_fea>` eats the white
        space on both sides."""
        parts = CUT.split(text)
        for i, part in enumerate(parts):
            if part == REGION_TEXT:
                parts[i - 1], parts[i + 1] = parts[i - 1].rstrip(), parts[i + 1].lstrip()
        ids = []
        for part in parts:
            if part == REGION_TEXT:
                ids.append(self.region)
            elif part in CONTROL:
                ids.append(CONTROL[part])
            elif part:
                ids += self.pieces.encode(part)
        return ids

    def encode_prompt(self, prompt):
        """A rendered prompt: BOS, then the stretches between `<image>` placeholders, with -200 for each placeholder."""
        ids = [BOS]
        for i, part in enumerate(prompt.split('<image>')):
            ids += [IMAGE] * (i > 0) + self.encode(part)
        return ids

    def decode(self, ids, clean_up=True):
        """Special tokens vanish; a `<region_fea>` prints with a space on each side and restarts the dummy prefix."""
        stretches = [[]]
        for i in ids:
            if i == self.region:
                stretches += [REGION_TEXT, []]
            elif i not in CONTROL.values():
                stretches[-1].append(i)
        text = ' '.join(s if s == REGION_TEXT else self.pieces.decode(s) for s in stretches if s)
        for old, new in CLEAN_UP if clean_up else ():
            text = text.replace(old, new)
        return text


def answer_text(tokenizer, ids, clean_up=True):
    """The text of generated ids, as the official scripts clean it."""
    text = tokenizer.decode(ids, clean_up).strip()
    return text[:-len('</s>')].strip() if text.endswith('</s>') else text
