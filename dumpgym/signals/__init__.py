"""Signals: the numbers that a bandit learns from, one per group of completions.

A signal is a function of a group's rewards and successes (``of_a_group``), or a class that remembers earlier batches
(``of_progress``). A new signal is a function or class in a file of this room that calls ``register_signal``; the
registry imports all files, so no list has to be edited. How a bandit averages, discounts or explores with a signal does
not belong here but in ``dumpgym.agents``. GRPO's advantages are also computed here, since DUMP's signal is their mean
absolute value. This room imports numpy and ``dumpgym.contracts``.
"""
