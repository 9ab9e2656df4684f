"""Reports of finished runs: tables, figures, the HTML page, and the findings that an experiment's analysis writes.

This room presents numbers that ``comparing`` and ``statistics`` compute; a new metric belongs there. It never loads
torch, so a report can be written wherever the logs are. Only ``figures`` imports matplotlib.
"""
