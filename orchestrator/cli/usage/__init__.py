"""How a command is found, shown and completed.

groups.py      a command that is not there is answered with the nearest one
examples.py    what stands at the end of each `--help`
completion.py  what the shell completes
"""
