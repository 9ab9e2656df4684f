"""Contracts: the interfaces between rooms, and the records that cross them.

Everything that several rooms must agree on belongs here: the interfaces (``PuzzleEnv``, ``BanditPolicy``, ``Learner``,
``Student``), the records that they exchange (``Problem``, ``Verdict``, ``Completions``, ``GroupResults``,
``Feedback``), the registries, and state, schedules and errors. Implementations do not belong here: environments and
simulated students are in ``dumpgym.envs``, policies and learners in ``dumpgym.agents``, and the training loop is in
``dumpgym.training``. This room imports gymnasium, numpy and no other room, so that every room can import it; a registry
imports the files of its rooms by name, at the first look-up.
"""
