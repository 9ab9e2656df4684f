"""The embedded models: small language models whose weights are committed with the code, so that runs need no download.

Their names, tokenizers, shapes and weights belong here. How they are trained from scratch belongs in
``dumpgym.pretraining``. How they sample and learn by GRPO is that of any other model: they are loaded from their
folders in ``weights`` (``agents/grpo/models.py``).
"""
