"""Evaluation of one model, or of two on the same problems, outside of a training run.

What turns a name, a folder, a run or a checkpoint into results with intervals belongs here. How a learner completes
held-out problems is in ``training``, the intervals and tests are in ``statistics``, and the tables that a person sees
are in ``commands``.
"""
