"""A finished data set: its files, manifest, journal and integrity checks."""
