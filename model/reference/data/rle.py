"""Masks as COCO's run lengths: down the columns, background first.  The compressed form is COCO's own: differences to the
run before last, five bits a character, least significant first, bit 5 says that more follows, characters from '0' on."""
import numpy as np


class BadRle(ValueError):
    pass


def runs(mask):
    """bool [height, width] -> run lengths."""
    flat = np.concatenate([[False], np.asarray(mask, bool).ravel(order='F')])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges, [flat.size - 1]])).tolist()


def compress(counts):
    text = []
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits, rest = rest & 31, rest >> 5
            more = rest != (-1 if bits & 16 else 0)
            text.append(chr(48 + (bits | 32 * more)))
    return ''.join(text)


def decompress(text):
    counts, value, shift = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise BadRle('character %r in compressed counts' % character)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise BadRle('compressed counts end within a number')
    return counts


def encode(mask):
    """bool [height, width] -> {"size": [height, width], "counts": compressed}."""
    return {'size': list(mask.shape), 'counts': compress(runs(mask))}


def decode(rle):
    """Either form of COCO's RLE -> bool [height, width]."""
    if not isinstance(rle, dict) or not isinstance(rle.get('counts'), (str, list)):
        raise BadRle('an RLE is {"size": [h, w], "counts": ...}')
    size, counts = rle.get('size'), rle['counts']
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(s, int) and s > 0 for s in size):
        raise BadRle('size %r, expected [height, width]' % (size,))
    counts = decompress(counts) if isinstance(counts, str) else counts
    if not all(isinstance(c, int) and c >= 0 for c in counts) or sum(counts) != size[0] * size[1]:
        raise BadRle('runs do not add up to %d x %d pixels' % (size[0], size[1]))
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(size[1], size[0]).T
