"""The benchmarks say what they are, without running."""

from benchmarks.__main__ import BENCHMARKS, main


def test_an_unknown_benchmark_is_named_with_those_there_are(capsys):
    assert main(["nope"]) == 2
    assert capsys.readouterr().err == f"No benchmark nope; there are: {', '.join(BENCHMARKS)}.\n"
