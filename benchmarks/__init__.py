"""Benchmarks of the whole job and of its parts; no part of the installed package."""
