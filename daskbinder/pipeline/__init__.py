"""A run: the request, the plan, the graph, and what happens when it is carried out."""
