"""The training loop: the policy draws arms, and learns from what practice gives."""

import dumpgym

arms = dumpgym.make_arms([f"dumpgym/KnightsKnaves{n}-v0" for n in (2, 3, 4)])
agent = dumpgym.GRPOAgent(dumpgym.GRPOConfig(model="embedded"), seed=0)
student = dumpgym.PuzzleStudent(agent, arms, seed=0, evaluation_problems=4)
policy = dumpgym.make_policy("dump", num_arms=len(arms), seed=0, draw="quota")
signal = dumpgym.make_signal("mean_absolute_advantage", policy.shape)

for step in range(2):  # `dumpgym train` takes 40 steps by default
    requested = policy.probabilities()
    chosen = policy.select_arms(6)  # an arm for each prompt of the batch
    # Draws puzzles, completes each four times, judges, and takes a step of GRPO.
    results = student.practise(chosen, num_generations=4)
    feedback = dumpgym.Feedback.of_results(step, results, signal(results), requested)
    policy.update(feedback)
    print(f"step {step}: arms {results.arm}, solved {results.successes} of 4")

for name, success in zip(student.arm_names, student.success(), strict=True):
    print(f"{name}: {success:.0%} of the held-out puzzles")
