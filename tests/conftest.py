"""What every test run needs."""

from __future__ import annotations

import signal

import hypothesis

# the first example may have to compile a kernel
hypothesis.settings.register_profile("lmcma", deadline=None)
hypothesis.settings.load_profile("lmcma")


def pytest_configure() -> None:
    # A shell ignores Ctrl-C for its background jobs, and programs started here would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
