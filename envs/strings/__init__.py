"""Strings of digits: small tasks whose difficulty is a length, and two controls from which nothing can be learned.

This room is also the example of a small family of environments: ``env`` has the base class with the manual and the
verifier, ``drawing`` draws strings by address and decides their split, ``prompts`` has the two forms of a prompt,
``tasks`` has one short class per task, and ``controls`` has the nuisance distributions. Tasks whose problems are not
strings of digits do not belong here, and nothing here knows of policies, tokenizers or models. This room imports
``dumpgym.contracts`` only.
"""
