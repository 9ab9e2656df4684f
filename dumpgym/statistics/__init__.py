"""Statistics: measures of one run, and estimates, intervals and tests over several runs.

Functions from arrays of numbers to numbers belong here, with the statistical reasons for them. What is specific to an
experiment does not: which runs are compared and by which measure is decided in ``dumpgym.comparing`` and
``dumpgym.simulating``, and results are presented in ``dumpgym.reporting``. This room imports numpy, scipy, and from
``dumpgym.contracts`` only the errors.
"""
