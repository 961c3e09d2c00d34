"""What is known of launches: events, dates, windows, members, specs, breaks of the archive."""
