"""Knights and Knaves: the environments, their verifier and their puzzles.

This package holds everything that is specific to Knights and Knaves: the environment and its vectorized version, the
verifier and its reward rules, the problems with their words, the paper's puzzles, the records of the export, the search
for leaks between files, and the operator baseline. Two rooms inside it hold the rest: ``logic`` makes and solves
puzzles without words, and ``language`` turns puzzles into text and answers into roles. Code that works for any puzzle
does not belong here: the contract ``PuzzleEnv`` is in ``dumpgym.contracts``. Nothing here knows of policies, learners
or runs.
"""
