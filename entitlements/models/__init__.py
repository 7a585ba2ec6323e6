"""Features, who has them, how much of them, and what every site of the edge is told."""
