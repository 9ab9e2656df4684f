"""Environments: everything that has the interface of Gymnasium, and the simulated students inside.

This room holds the puzzle environments, one package for each family (``knights_knaves``, ``strings``), the environment
in which a whole curriculum is one episode (``curriculum``), and the simulated students that it can train
(``students``). Policies and language models, which act and learn, belong in ``agents``; the contracts that both sides
share belong in ``dumpgym.contracts``.
"""

if __name__ != "dumpgym.envs":
    raise ImportError(f"this package is imported as dumpgym.envs, not as {__name__}, so that no class exists twice")
