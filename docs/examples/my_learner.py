"""A learner without a language model: it learns which of three texts to write."""

import json

import numpy as np
from scipy.special import softmax

import dumpgym

TEXTS = ("I do not know.", "<think>Hm.</think><answer>Nobody.</answer>", "Nobody.")


class TextChooser(dumpgym.Stateful):
    """A softmax over texts, trained by the policy gradient with GRPO's advantages."""

    state_fields = ("logits", "rng")  # what ``save`` writes

    def __init__(self, seed=0):
        self.logits = np.zeros(len(TEXTS))
        self.rng = np.random.default_rng(seed)

    def generate(self, prompts, num_generations, *, greedy=False, seed=None, **options):
        rng = self.rng if seed is None else np.random.default_rng(seed)
        shape, p = (len(prompts), num_generations), softmax(self.logits)
        chosen = np.full(shape, p.argmax()) if greedy else rng.choice(3, shape, p=p)
        return dumpgym.Completions(
            prompt_ids=((0,),) * len(prompts),
            token_ids=tuple((int(k),) for k in chosen.flat),  # a text is one token here
            texts=tuple(TEXTS[k] for k in chosen.flat),
            truncated=np.zeros(shape, dtype=bool),
            log_probs=tuple((float(np.log(p[k])),) for k in chosen.flat),
        )

    def learn(self, rewarded):  # rewards have the shape (groups, num_generations)
        rewards = rewarded.rewards
        advantages = rewards - rewards.mean(axis=1, keepdims=True)
        advantages /= rewards.std(axis=1, ddof=1, keepdims=True) + 1e-6
        chosen = np.reshape(rewarded.completions.token_ids, rewards.shape)
        slopes = np.eye(len(TEXTS))[chosen] - softmax(self.logits)  # d log p / d logits
        gradient = (advantages[..., None] * slopes).mean(axis=(0, 1))
        if not np.isfinite(gradient).all():
            raise dumpgym.NonFiniteError("gradient")
        self.logits += gradient
        return dumpgym.Learned({"grad_norm": float(np.linalg.norm(gradient))})

    def save(self, directory):
        (directory / "learner.json").write_text(json.dumps(self.state_dict()))

    def load(self, directory):
        self.load_state_dict(json.loads((directory / "learner.json").read_text()))

    def describe(self):
        return {"model_type": "text chooser"}


if __name__ == "__main__":
    dumpgym.check_learner(TextChooser)
