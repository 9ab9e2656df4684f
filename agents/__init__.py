"""Who decides and who learns: bandit policies and the language models that train by GRPO."""

if __name__ != "dumpgym.agents":
    raise ImportError(f"this package is imported as dumpgym.agents, not as {__name__}, so that no class exists twice")
