"""From the bytes of day files to counts: arithmetic on Arrow and numpy, without Dask."""
