"""Textbook bandits, and the parts that they are built of.

A file holds one family of bandits (UCB, EXP3, Thompson sampling, ...), or a part that several of them share: what a
policy remembers of an arm (``history.py``, ``recent_history.py``), and how scores become probabilities
(``selection.py``, ``beta_selection.py``, ``random_scores.py``). Methods from curriculum papers belong in
``dumpgym.agents.curricula``, which imports this package; this package never imports that one.
"""
