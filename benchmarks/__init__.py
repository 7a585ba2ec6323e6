"""Benchmarks: every figure beside its floor, from the same run; `make bench` prints and keeps them."""
