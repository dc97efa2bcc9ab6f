"""Interruptions (Ctrl-C, the stop button, SIGTERM) that wait until a piece of work has reached a safe point."""

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within this context, SIGINT and SIGTERM are only noted, so that a training can finish its step and be saved.

    The training reads `requested` after each step and calls `pass_on` when it has saved its state. The same signal
    sent a second time takes effect at once. In a thread other than the main one, which cannot handle signals, this
    context does nothing.
    """

    def __init__(self):
        self.requested: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            # A signal that is ignored stays ignored: a shell starts its background jobs with SIGINT ignored.
            heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(self, *error):
        self._restore()

    def pass_on(self):
        """Give the noted signal to whoever handles it outside this context: usually it ends the program."""
        self._restore()
        if self.requested is not None:
            signal.raise_signal(self.requested)

    def _note(self, number: int, frame: FrameType | None):
        if number == self.requested:
            self.pass_on()
        self.requested = self.requested or number

    def _restore(self):
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler or signal.SIG_DFL)  # None: the handler was not set from Python
