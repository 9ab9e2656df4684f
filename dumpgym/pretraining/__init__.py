"""Supervised training that makes the embedded models, the warm starts of reinforcement learning.

``pretrainer`` trains any causal language model on texts; ``recipes`` has one file per model, with its stages and the
texts of each stage; ``pretrain`` runs a recipe and writes the model's card. The shapes, tokenizers and finished weights
belong in ``agents/embedded``.
"""
