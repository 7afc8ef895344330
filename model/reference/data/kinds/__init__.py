"""One file a kind of question (README.md).  Positive kinds have `make(rng, facts)`, a generator of exchanges in random order;
negative ones `make(rng, facts, ...)`, a generator of (negative, positive) exchanges of the same wording."""
