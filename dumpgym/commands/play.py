"""``dumpgym play``: a person solves puzzles and sees the verifier's verdicts, or the prompt that a model reads."""

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Self

from tyro.conf import Positional, arg

from dumpgym.agents.grpo.config import GRPOConfig
from dumpgym.commands import verb
from dumpgym.contracts.arms import Arm, make_env
from dumpgym.contracts.errors import DumpgymError, require_number
from dumpgym.contracts.learner import check_arms
from dumpgym.contracts.puzzle_env import Problem, PuzzleEnv, Verdict, check_split
from dumpgym.evaluating.config import EvaluateConfig
from dumpgym.evaluating.source import find_model
from dumpgym.runs.validation import validated

_HELP = (
    "Answer in as many lines as you like; an empty line ends the answer, and the line q ends the game.\n"
    "If a puzzle asks a model for more than the answer, such as tags, you may leave that out.\n"
)


@verb("play")
@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """Solve puzzles yourself, beside a model if you name one, or see the text that a model reads.

    Attributes:
        env: id of an environment, with arguments if needed, e.g. 'dumpgym/KnightsKnaves-v0?num_people=5'.
        split: train or test.
        seed: seed of the stream of puzzles.
        index: index of the first puzzle in the stream.
        show_prompt: print the text that a model reads for this puzzle, and nothing else.
        model: an embedded model such as "embedded", a folder, a .gguf file, a name on the Hugging Face hub, a run, or a
            checkpoint of a run. It answers every puzzle too, and its completion and verdict are shown after yours. With
            --show-prompt, its chat template renders the prompt, and only its tokenizer is loaded; without a model, the
            prompt is plain text.
        agent: settings of the model, by default those of its run; those that concern learning have no effect.
    """

    env: Annotated[str, Positional, arg(metavar="ENV")]
    split: str = "train"
    seed: int = 0
    index: int = 0
    show_prompt: bool = False
    model: str | None = None
    agent: GRPOConfig = field(default_factory=GRPOConfig)

    def file_default(self) -> Self | None:
        """The settings of the run that made the model, if a run did."""
        if self.model is None:
            return None
        return dataclasses.replace(self, agent=EvaluateConfig.of_model(self.model).agent)

    def run(self) -> None:
        """Shows a prompt, or plays on standard input and output until the person stops."""
        env = make_env(self.env)
        check_split(self.split)
        require_number("seed", self.seed, low=0, whole=True)
        require_number("index", self.index, low=0, whole=True)
        if self.show_prompt:
            problem = env.sample_problem(self.seed, self.split, self.index)
            sys.stdout.write(shown_prompt(problem, self.model, self._checked_agent()))
        else:
            _play_game(env, self, None if self.model is None else _answers_of(self.model, env, self))

    def _checked_agent(self) -> GRPOConfig:
        values = {"model": self.model or "embedded", "agent": dataclasses.asdict(self.agent)}
        return validated(values, EvaluateConfig).agent


def shown_prompt(problem: Problem, model: str | None, agent: GRPOConfig | None = None) -> str:
    """The text that a model reads.

    Args:
        problem: the problem.
        model: the model whose chat template to use. With None, several messages are labelled with their roles.
        agent: settings of the model, of which those of its chat template count.

    Raises:
        InvalidValueError: if there is no such model.
    """
    if model is not None:
        from dumpgym.agents.grpo.models import load_tokenizer
        from dumpgym.agents.grpo.prompts import PromptReader

        agent = agent or GRPOConfig()
        tokenizer = load_tokenizer(find_model(model).name)
        reader = PromptReader(tokenizer, date=agent.chat_template_date, options=agent.chat_template_kwargs)
        return reader.render(problem.learner_prompt)
    if [message["role"] for message in problem.messages] in ([], ["user"]):
        return problem.prompt
    return "\n".join(f"{message['role']}:\n{message['content']}\n" for message in problem.messages)


def _answers_of(model: str, env: PuzzleEnv, config: Play) -> Callable[[Problem], str]:
    """Loads a model, and returns what completes a problem with it, greedily."""
    agent = config._checked_agent()

    from dumpgym.evaluating.runner import make_agent

    learner = make_agent(model, agent, seed=config.seed)
    check_arms(learner, [Arm(config.env, env)])
    return lambda problem: learner.generate([problem.learner_prompt], 1, greedy=True).texts[0]


def _play_game(env: PuzzleEnv, config: Play, answer_of_model: Callable[[Problem], str] | None) -> None:
    sys.stdout.write(_HELP)
    solved = played = solved_by_model = 0
    wants_more = True
    while wants_more:
        index = config.index + played
        problem = env.sample_problem(config.seed, config.split, index)
        sys.stdout.write(f"\n--- puzzle {index} of {config.split}, seed {config.seed}\n\n{problem.prompt.rstrip()}\n\n")
        answer, wants_more = _read_answer()
        if answer:
            verdict = env.verify(problem, env.completion_of(answer))
            sys.stdout.write(f"\n{_told(verdict)}")
            played += 1
            solved += verdict.success
            if answer_of_model is not None:
                completion = answer_of_model(problem)
                verdict = env.verify(problem, completion)
                solved_by_model += verdict.success
                sys.stdout.write(f"\n{config.model} writes:\n{completion.strip()}\n\n{_told(verdict)}\n")
            sys.stdout.write(f"solution:\n{_solution(problem)}\n")
    sys.stdout.write(f"\nsolved {solved} of {played}\n")
    if answer_of_model is not None:
        sys.stdout.write(f"{config.model} solved {solved_by_model} of {played}\n")


def _told(verdict: Verdict) -> str:
    terms = ", ".join(f"{name} {value:+g}" for name, value in verdict.reward_terms.items())
    return f"{verdict.outcome}: {verdict.reason}\nreward {verdict.reward:g} ({terms})\n"


def _read_answer() -> tuple[str, bool]:
    """The next answer, empty if there is none, and whether more may follow."""
    lines: list[str] = []
    while True:
        try:
            line = input("> ")
        except EOFError:
            return "\n".join(lines), False
        except UnicodeDecodeError as error:
            raise DumpgymError(f"standard input cannot be read: {error}") from error
        if not lines and line.strip() == "q":
            return "", False
        if line.strip():
            lines.append(line)
        elif lines:
            return "\n".join(lines), True


def _solution(problem: Problem) -> str:
    """The answer in the reference completion: the text between its answer tags, or all of it if it has no tags."""
    return problem.reference_completion.rpartition("<answer>")[2].partition("</answer>")[0].strip()
