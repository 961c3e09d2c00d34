"""A run: its request, its plan, its task graph, and its execution."""
