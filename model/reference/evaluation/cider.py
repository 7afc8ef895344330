"""CIDEr-D (Vedantam, Zitnick, Parikh 2015), as the COCO caption evaluation computes it.

n-grams of 1 to 4 words, weighted by how few images' references have them; cosine of candidate and each reference with counts
clipped to the reference's; a Gaussian of the difference in length (sigma 6); mean over references and n, times 10.  Words are
lower case letters and digits with inner apostrophes and hyphens; the official tokenizer is a Java program that differs in rare
cases ("dog's" is two words there).
"""
import math
import re
from collections import Counter

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
SIGMA, LONGEST = 6., 4


def words(text):
    return WORD.findall(text.lower())


def ngrams(tokens):
    return Counter(tuple(tokens[i:i + n]) for n in range(1, LONGEST + 1) for i in range(len(tokens) - n + 1))


class Cider:
    def __init__(self, references):
        """references: {image: [text]}: the whole set, which says how rare an n-gram is."""
        self.grams = {image: [ngrams(words(t)) for t in texts] for image, texts in references.items()}
        self.seen_in = Counter(gram for texts in self.grams.values() for gram in set().union(*texts))
        self.log_images = math.log(max(len(references), 1))

    def vector(self, counts):
        """-> by length of n-gram: {gram: weight}, norm; and the length in words, counted by pairs as the official code does."""
        weights = [{} for _ in range(LONGEST)]
        for gram, count in counts.items():
            weights[len(gram) - 1][gram] = count * (self.log_images - math.log(max(1, self.seen_in[gram])))
        norms = [math.sqrt(sum(v * v for v in w.values())) for w in weights]
        return weights, norms, sum(count for gram, count in counts.items() if len(gram) == 2)

    def alike(self, candidate, reference):
        (a, a_norms, a_length), (b, b_norms, b_length) = candidate, reference
        penalty = math.exp(-(a_length - b_length) ** 2 / (2 * SIGMA ** 2))
        total = 0.
        for n in range(LONGEST):
            shared = sum(min(value, b[n].get(gram, 0.)) * b[n].get(gram, 0.) for gram, value in a[n].items())
            if a_norms[n] and b_norms[n]:
                total += shared / (a_norms[n] * b_norms[n]) * penalty
        return total / LONGEST

    def score(self, image, text):
        """10 is the largest."""
        candidate, references = self.vector(ngrams(words(text))), [self.vector(c) for c in self.grams[image]]
        return 10 * sum(self.alike(candidate, r) for r in references) / len(references)
