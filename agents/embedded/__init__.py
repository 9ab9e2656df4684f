"""The embedded model: a small language model whose weights are committed with the code, so that runs need no download.

Its tokenizer, its shape, its supervised pretraining and the settings of that belong here. How it samples and learns by
GRPO does not: it is loaded from its folder, ``weights``, like any other model (``agents/grpo/models.py``). Read the
files in this order: ``model``, ``pretraining``, ``config``.
"""
