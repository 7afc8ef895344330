"""Evaluation: manifests for `ferret` out of published annotation files, and scores out of the records that it writes.

    python3 -m evaluation --help        in model/reference
"""
