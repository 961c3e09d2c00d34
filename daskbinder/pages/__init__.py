"""What a browser shows: the explorer and the report."""
