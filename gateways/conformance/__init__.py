"""Vectors that every client of the edge must pass, in whatever language."""
