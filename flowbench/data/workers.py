"""Processes that load data."""

from __future__ import annotations

import os
import signal
import threading

import cv2


def start_worker(worker: int) -> None:
    """Sets one up; the worker_init_fn of every DataLoader.

    A signal to all processes (Ctrl-C, a scheduler's) is the main process's to answer: it may finish a step, and needs its
    batch. A worker ends when the main process says so, or is gone.
    """
    # Each worker is one process of many: OpenCV's own threads would fight over the cores.
    cv2.setNumThreads(0)
    for name in ("SIGINT", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # macOS cannot tell who sent a signal: there, SIGTERM ends a worker as ever.
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end_with_main_process, args=(os.getppid(),), daemon=True).start()


def _end_with_main_process(main_process: int) -> None:
    """Passes over SIGTERM unless the main process sent it, or has left this one behind."""
    while os.getppid() == main_process:
        if signal.sigwaitinfo([signal.SIGTERM]).si_pid == main_process:
            break
    os._exit(0)
