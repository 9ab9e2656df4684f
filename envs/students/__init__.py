"""Simulated students, on which a policy can be tested in seconds instead of hours.

A student is a class that implements ``dumpgym.contracts.student.Student``, in a file of this room that calls
``register_student``; the registry imports all files, so no list has to be edited. A student's model of learning belongs
here, and so do the random numbers by address that make its runs comparable. The loop that lets a student practise, the
best allocation, and the comparison of policies do not: they are in ``dumpgym.simulating``. A language model becomes a
student in ``dumpgym.training``. This room imports numpy, scipy, ``dumpgym.contracts``, ``dumpgym.signals``, and the
puzzle logic of ``dumpgym.envs.knights_knaves``, and never torch.
"""
