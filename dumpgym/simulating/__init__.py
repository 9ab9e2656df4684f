"""Simulating: policies on simulated students, many seeds at a time, with the best possible allocation as a reference.

The loop over steps, the best allocation, the measures of a simulated run, and the command's work belong here. Students
do not: they are in ``dumpgym.envs.students`` and are found by their registry, as policies are. The only policy imported
by its class is ``PlannedShares``, by which a student practises the best allocation. Intervals are computed in
``dumpgym.statistics``, and figures are drawn in ``dumpgym.reporting``. This room imports ``dumpgym.contracts``,
``dumpgym.signals`` and ``dumpgym.statistics``, and never torch.
"""
