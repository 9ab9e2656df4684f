"""Prompts as a model reads them: written by its chat template, and as token ids.

Chat templates are programs that come with a model. This module gives them the same date in every run, and checks that
what they write holds each message exactly once, since a template that loses the puzzle raises nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from inspect import signature
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from dumpgym.agents.grpo.config import CHAT_TEMPLATE_DATE, ChatOption
from dumpgym.contracts.errors import InvalidValueError
from dumpgym.contracts.puzzle_env import Prompt, plain_text

# What the code of a template may raise, besides the errors of jinja itself: it can do arithmetic, index and call.
_FAILURES = (TemplateError, ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
             ValueError)  # fmt: skip
# transformers gives templates a function ``strftime_now`` that reads the clock, and passes them only plain data, so no
# other function can take its place. A macro in front of the template can: it hides the function and fills in a format
# from a table. The line break behind it belongs to it (jinja's ``trim_blocks``).
_DATES = "dumpgym_dates"
_STRFTIME_NOW = (
    "{%- macro strftime_now(format) -%}{%- set filled = namespace(text=format) -%}"
    f"{{%- for directive, value in {_DATES}.items() -%}}"
    "{%- set filled.text = filled.text.replace(directive, value) -%}{%- endfor -%}"
    "{{- filled.text -}}{%- endmacro %}\n"
)
_MARK = "message-number-{}-of-this-prompt"
_LONG = " ".join(f'{i}. Zoë said: "A & B aren\'t {i} knights".' for i in range(1, 200))
_TAGS = "Reason between <think> and </think>, answer between <answer> and </answer>."


class PromptReader:
    """Renders and encodes prompts for one model.

    Args:
        tokenizer: the model's tokenizer, with a chat template if the model has one.
        date: the date that a chat template writes if it writes today's, in ISO format.
        options: variables for the chat template, such as ``enable_thinking``.

    Raises:
        InvalidValueError: if the date is none, or if the chat template has no use for an option.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        date: str = CHAT_TEMPLATE_DATE,
        options: Mapping[str, ChatOption] | None = None,
    ) -> None:
        self._tokenizer, self._options = tokenizer, dict(options or {})
        day = _parsed(date)
        self._pinned = {"date_string": day.strftime("%d %b %Y"), _DATES: _filled_directives(day)}
        if self._options:
            self._check_options()

    def render(self, prompt: Prompt) -> str:
        """The text of a prompt as the model reads it.

        Args:
            prompt: chat messages, or plain text, which counts as one message of a user.

        Returns:
            The prompt in the chat template, up to the beginning of the model's turn. If the template refuses or leaves
            out a system message, it is put at the start of the user's message. If the template expects the content of
            messages in parts, as those of models that also see images do, it receives them so. Without a template: the
            plain text.

        Raises:
            InvalidValueError: if the template fails, or does not write each message of the user and the system exactly
                once.
        """
        if self._tokenizer.chat_template is None:
            return plain_text(prompt)
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(m) for m in prompt]
        first_fault = ""
        for form in _forms(messages):
            try:
                text = self._apply(form)
                fault = self._fault(form, text)
            except _FAILURES as error:
                fault = f"its own fails: {' '.join(str(error).split())[:200] or type(error).__name__}"
            if not fault:
                return text
            first_fault = first_fault or fault
        accepted = f"a model whose chat template writes each message of a prompt once; {first_fault}"
        raise InvalidValueError("model", self._tokenizer.name_or_path, accepted)

    def encode(self, rendered: str) -> list[int]:
        """Token ids of a rendered prompt."""
        # A chat template writes the special tokens itself; adding them here would put a second BOS before the prompt.
        is_plain = self._tokenizer.chat_template is None
        encoded = self._tokenizer(rendered, add_special_tokens=is_plain, return_special_tokens_mask=is_plain)
        ids = list(encoded["input_ids"])
        # What a tokenizer adds at the end, as with ``add_eos_token``, says that the text is over. The model would begin
        # a new text in place of an answer.
        while is_plain and ids and encoded["special_tokens_mask"][len(ids) - 1]:
            ids.pop()
        return ids

    def probe(self) -> list[int]:
        """Renders a long prompt with line breaks, quotes, tags and accents, and encodes a short one with tags.

        Returns:
            Token ids of the short one.

        Raises:
            InvalidValueError: if the chat template cannot write them.
        """
        self.render(f"Who is who?\n\n{_LONG}\n{_TAGS}")
        return self.encode(self.render(_TAGS))

    def _apply(self, messages: Sequence[Mapping[str, Any]]) -> str:
        tokenizer: Any = self._tokenizer
        template = _STRFTIME_NOW + tokenizer.get_chat_template()
        options: dict[str, Any] = {**self._pinned, **self._options}
        return str(
            tokenizer.apply_chat_template(
                messages, chat_template=template, add_generation_prompt=True, tokenize=False, **options
            )
        )

    def _fault(self, messages: Sequence[Mapping[str, Any]], text: str) -> str:
        """What is wrong with the text that the template wrote for some messages; empty if nothing is."""
        # Whether a message is there once cannot be counted in the text itself, in which a short message may also occur
        # by chance. So marks are counted that take the messages' places. Earlier turns of the model are not checked:
        # templates of thinking models leave out their thoughts on purpose.
        checked = [i for i, message in enumerate(messages) if message["role"] != "assistant"]
        marked = self._apply(
            [
                {**message, "content": _with_text(message["content"], _MARK.format(i))} if i in checked else message
                for i, message in enumerate(messages)
            ]
        )
        for i in checked:
            whose, count = f"the message of the {messages[i]['role']}", marked.count(_MARK.format(i))
            if count != 1:
                return f"its own leaves out {whose}" if count == 0 else f"its own writes {whose} {count} times"
            # Templates often trim messages, which loses nothing.
            if _text_of(messages[i]["content"]).strip() not in text:
                return f"its own changes {whose}"
        return ""

    def _check_options(self) -> None:
        tokenizer: Any = self._tokenizer
        if tokenizer.chat_template is None:
            raise InvalidValueError("chat_template_kwargs", self._options, "none, since the model has no chat template")
        taken = {"messages", "strftime_now", _DATES, "kwargs"} | tokenizer.special_tokens_map.keys()
        taken |= signature(tokenizer.apply_chat_template).parameters.keys()
        try:
            source = tokenizer.get_chat_template()
        except ValueError:  # several templates and no default, which ``probe`` reports
            return
        for name in self._options:
            if name in taken:
                accepted = "variables of the model's own chat template; dumpgym and transformers set this one"
                raise InvalidValueError("chat_template_kwargs", name, accepted)
            if name not in source:
                raise InvalidValueError("chat_template_kwargs", name, "variables that the model's chat template reads")


def begun_thought(prompt: str, completion: str) -> str:
    """The part of a thought that a chat template wrote and that counts as the completion's.

    Templates of thinking models end the prompt in "<think>", or in an empty thought where thinking is off. The verifier
    reads only completions and would miss these tags, so the text that it reads begins with them, although they were not
    sampled and are not part of the loss.

    Args:
        prompt: the rendered prompt.
        completion: the text of the sampled tokens.

    Returns:
        "<think>"; or the empty thought, unless the completion has its own thought, as the puzzles ask; or nothing.
    """
    if prompt.rstrip().endswith("<think>"):
        return "<think>"
    empty = re.search(r"<think>\s*</think>\s*$", prompt)
    return empty.group() if empty and "<think>" not in completion else ""


def _parsed(date: str) -> datetime:
    try:
        return datetime.fromisoformat(date)
    except ValueError as error:
        raise InvalidValueError("chat_template_date", date, f"a date such as {CHAT_TEMPLATE_DATE}") from error


def _filled_directives(day: datetime) -> dict[str, str]:
    """The directives of ``strftime`` and the text of each for a day, in the order in which they are replaced."""
    filled = {f"%{letter}": day.strftime(f"%{letter}") for letter in "aAbBcdDeFGHIjmMpSTuUVwWxXyYzZf"}
    unpadded = {f"%-{letter}": filled[f"%{letter}"].lstrip("0") or "0" for letter in "dHIjmMSy"}
    return {"%%": "\0", **filled, **unpadded, "\0": "%"}


def _forms(messages: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yields the forms of a conversation in which a template may accept it, the most common one first."""
    conversations = [messages]
    if messages[0]["role"] == "system":
        conversations.append([{"role": "user", "content": plain_text(messages[:2])}, *messages[2:]])
    yield from conversations
    for conversation in conversations:
        yield [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in conversation]


def _with_text(content: str | list[dict[str, str]], text: str) -> str | list[dict[str, str]]:
    return text if isinstance(content, str) else [{"type": "text", "text": text}]


def _text_of(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else content[0]["text"]
