"""The shared kernel: money, periods, the clock, identifiers, canonical bytes and errors.

Pure Python that imports nothing of ours. Everything above may import it.
"""
