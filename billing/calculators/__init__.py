"""Calculators for people who want to check a number: the pipeline's own pure code behind JSON Lines.

Each takes a request (a JSON object) and returns an answer; a request that cannot be answered raises Problem.
"""
