"""Puzzles as logic: statements, solutions, sampling, solving, and equivalence of puzzles.

A puzzle here consists of numbered people and nested tuples. This room holds the grammar of statements, the solver with
its measure of lookahead, the generator, and the structure hash that divides puzzles between train and test. It knows no
English: names, role words, sentences, prompts and answers belong in ``language``, and rewards in the verifier.
"""
