"""The prompts: short ones of few characters, and sentences."""

from string import ascii_lowercase

from dumpgym.contracts.errors import InvalidValueError

PROMPTS = ("symbols", "sentence")
LETTERS = ascii_lowercase
"""The letters of preambles."""
ALPHABET = " +0123456789=" + LETTERS
"""The characters of all prompts in symbols and of all right completions, for a tokenizer of characters."""


def check_prompt(prompt: str) -> str:
    """Returns the form of the prompts if there is such a form.

    Raises:
        InvalidValueError: if there is not.
    """
    if prompt not in PROMPTS:
        raise InvalidValueError("prompt", prompt, f"one of {', '.join(PROMPTS)}")
    return prompt


def in_symbols(word: str, preamble: str, operands: str) -> str:
    """Returns a prompt such as "copy 4071=", or "copy abc 4071=" with a preamble."""
    return " ".join(part for part in (word, preamble, operands) if part) + "="


def in_words(task: str, preamble: str, answer_length: int) -> str:
    """Returns a sentence that states the task, and one that states the form of the completion."""
    before = f'"{preamble}", directly followed by ' if preamble else ""
    digits = "1 digit" if answer_length == 1 else f"{answer_length} digits"
    return f"{task} Reply with {before}exactly {digits}, and nothing else.\n"
