"""Instruction tuning of a checkpoint in the published layout, any size: `python3 -m tuning MODEL RECORDS OUT`."""
