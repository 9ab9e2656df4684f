"""The names of the embedded models: each is a folder in ``weights``, with the model's card in its README.md."""

from pathlib import Path

EMBEDDED_MODELS = {folder.name: folder for folder in sorted((Path(__file__).parent / "weights").iterdir())}
"""Folders of the embedded models, by the names that ``GRPOConfig.model`` takes."""
