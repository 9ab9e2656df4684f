"""One run on disk: its configuration, its directory of logs and checkpoints, and how a finished run is read back.

``training`` writes a run through this room, and ``comparing`` and ``reporting`` read it. It knows files, settings and
the names of log keys. It trains nothing and draws nothing, and it imports neither torch nor matplotlib, so that reading
runs stays quick. What several runs say together belongs in ``comparing``.
"""
