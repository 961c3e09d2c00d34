"""Files in folders, buckets and sites, read and written by name."""
