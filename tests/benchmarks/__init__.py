"""Measurements of live play that take minutes or a quiet machine: scripts, ``python -m tests.benchmarks.NAME``.

soak: a minute of everything at once, recorded and compared sample by sample. latency: key to speakers. window:
pictures a second. start: how long ``--help`` takes.
"""
