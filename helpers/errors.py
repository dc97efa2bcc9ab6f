"""The one exception that means: the user can put this right."""

__all__ = ["StudyError"]


class StudyError(Exception):
    """A mistake in the input, told as what happened, where, and what to do about it."""
