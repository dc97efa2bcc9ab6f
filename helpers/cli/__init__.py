"""This room carries out the commands of `python -m helpers`: checks of the machine and the data, runs, predictions.

It may import every other room.
"""

__all__: list[str] = []  # it is used by its commands
