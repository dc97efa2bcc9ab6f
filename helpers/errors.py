"""The exceptions of this study; StudyError means that the user can put this right."""

__all__ = ["StudyError"]


class StudyError(Exception):
    """A mistake in the input, told as what happened, where, and what to do about it."""


class OutOfMemory(StudyError):
    """A GPU has too little free memory for a training; there may be enough for another one, or later."""


class Interrupted(Exception):
    """The program was told to end by a signal, whose number is `number`."""

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number
