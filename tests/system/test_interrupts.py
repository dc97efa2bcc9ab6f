"""Interruptions wait for a safe point: noted once, passed on when asked, at once when repeated, never if ignored."""

import signal
import threading

import pytest

from helpers.system.interrupts import Interruption


def test_a_signal_is_noted_and_takes_effect_when_it_is_passed_on():
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested == signal.SIGINT
        interruption.pass_on()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_same_signal_a_second_time_takes_effect_at_once():
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_another_signal_after_the_first_waits_too():
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested == signal.SIGTERM


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            assert interruption.requested is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_handles_no_signals_and_raises_nothing():
    entered = []

    def work():
        with Interruption() as interruption:
            entered.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [None]
