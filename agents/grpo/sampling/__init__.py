"""How the GRPO learner samples completions: the fastest decoder that agrees with a plain forward pass of the model.

Decoders, their memory, their attention masks and the random draws belong here; losses, gradients and rewards do not.
Read the files in this order: ``sampler`` (chooses the decoder), ``sheet`` (draws and records tokens), ``static``,
``memory`` and ``masks`` (the fast decoder), ``shared`` (its form for CPUs), ``llama`` (the same for one architecture),
``graphs`` (its form for CUDA), ``plain`` (the decoders for every other model, with its own cache or without one).
"""
