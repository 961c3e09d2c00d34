"""The domain model: launch events, dates, windows, members, specs, and breaks in the archive."""
