"""One training run: the loop, the batch, evaluation, the ledger, metrics, alarms, transcripts and trackers.

``launch`` is the one place that puts a learner, the trackers and the loop together. The loop imports no language model,
so it trains any ``Learner``. Policies and the GRPO agent belong in ``agents``, supervised training in ``pretraining``,
the files of a run in ``runs``, several runs side by side in ``comparing``, and simulated students in ``simulating``.
"""
