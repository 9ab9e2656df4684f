"""Curriculum methods from papers, one per file, named after the method.

Each class docstring gives the formula, the source, the departures from the paper, and the option that restores the
paper where there is one. ``controls.py`` holds the policies that ignore feedback, against which the others are
compared, and ``oracle.py`` the control that cheats. Textbook bandits, histories and selection rules belong in
``dumpgym.agents.bandits``, which this package imports; ``dumpgym.agents.bandits`` never imports this package.
"""
