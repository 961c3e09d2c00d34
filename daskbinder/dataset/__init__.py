"""A finished data set: its files, its manifest, its journal, and whether it is sound."""
