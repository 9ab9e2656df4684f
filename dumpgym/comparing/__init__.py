"""Comparing policies on language models: experiments, the processes that run them, and what their runs say together.

An experiment is a TOML file, whose policies and settings are planned as cells with paired seeds and run in parallel
processes. Finished runs are sorted back into cells and compared with the control. This room decides which numbers are
compared. Training one run belongs in ``training``, its files in ``runs``, the formulas of intervals and tests in
``statistics``, tables and figures in ``reporting``, and comparisons on simulated students in ``simulating``.
"""
