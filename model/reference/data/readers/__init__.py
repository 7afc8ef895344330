"""Sources of facts.  Each has a `name`, the folder `root` that its images lie under, `open()`, which reads its annotation files
and is called once, and `facts()`, which may be iterated several times after that and always yields the same."""
