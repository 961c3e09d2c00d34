"""The day files of an archive: found, read, copied, and made from a seed."""
