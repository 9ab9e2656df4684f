"""Puzzles as text, and text as answers: names and role words, sentences, worked solutions, and the reader of answers.

This room turns a puzzle into English and an answer back into roles. Which puzzles exist and what their solutions are is
decided in ``logic``, and what an answer earns is decided in the verifier; neither belongs here.
"""
