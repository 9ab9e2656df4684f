"""What is learned: puzzle environments, the curriculum environment and simulated students."""

if __name__ != "dumpgym.envs":
    raise ImportError(f"this package is imported as dumpgym.envs, not as {__name__}, so that no class exists twice")
