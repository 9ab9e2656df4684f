"""Agents: what decides and what learns.

``bandits`` holds the textbook bandits, and ``curricula`` the policies of curriculum papers; both choose the arms of the
next batch. ``grpo`` holds the learner, a language model trained by GRPO, and ``embedded`` the small model that ships
with the package. Environments and simulated students belong in ``dumpgym.envs``, interfaces in ``dumpgym.contracts``.
"""

if __name__ != "dumpgym.agents":
    raise ImportError(f"this package is imported as dumpgym.agents, not as {__name__}, so that no class exists twice")
