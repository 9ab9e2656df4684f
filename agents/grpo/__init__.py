"""The GRPO learner: a causal language model that completes prompts and learns from the rewards of its completions.

What loads a language model, samples from it or trains it belongs here; of the rooms under ``agents/``, only this one
and ``embedded`` import torch. Puzzles, verifiers, bandit policies and the training loop do not belong here: the learner
sees prompts and rewards only. Read the files in this order: ``config``, ``agent``, ``prompts``, ``sampling/sampler``,
``update``, ``forward``, ``log_probs``, ``loss``, ``optimizer``, ``models``, ``processes``.

Importing the room before torch makes torch's threads spin only briefly while they wait (``dumpgym.contracts.threads``).
"""

from dumpgym.contracts.threads import limit_spinning

limit_spinning()
