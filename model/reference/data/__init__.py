"""Records for instruction tuning, made of published annotations and drawn scenes (README.md)."""
