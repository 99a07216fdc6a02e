"""Being told to stop: Ctrl-C, SIGTERM, and SIGHUP, which a closed terminal or ssh connection sends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def terminating() -> tuple[signal.Signals, ...]:
    """The signals beside Ctrl-C that ask a process to stop; not SIGHUP where `nohup` has it ignored."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return (signal.SIGTERM,) if ignored else (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def terminable() -> Iterator[None]:
    """Answer SIGTERM and SIGHUP with KeyboardInterrupt, as Ctrl-C. Python handles signals in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in terminating()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let being told to stop wait for the moment that opening or closing takes: half done, both leave a mess."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    numbers = (signal.SIGINT, *terminating())
    before = {number: signal.signal(number, lambda number, frame: waiting.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if waiting:
        signal.raise_signal(waiting[0])
