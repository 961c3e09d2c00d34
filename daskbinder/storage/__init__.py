"""Where bytes lie: folders, buckets and sites, read and written by name."""
