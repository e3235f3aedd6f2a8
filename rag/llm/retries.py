"""Another try after an error that may pass, with exponential backoff and jitter, by tenacity."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

Item = TypeVar("Item")

RETRIES = 3
PASSING = (429, 500, 502, 503, 504)  # HTTP's too many, broken, and not there at the moment
FIRST_WAIT = 0.5  # seconds before the second try, give or take a quarter; twice that before the third, and so on
LONGEST_WAIT = 30.0  # seconds, however long an endpoint says to wait


def with_retries(attempt: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    """What an attempt yields; up to RETRIES times another one after an error that may pass, before anything came.

    openai's own retries are off: they end where the headers of a reply arrive, before a model has begun to generate.
    """
    begun = False

    def passes(error: BaseException) -> bool:
        return not begun and isinstance(error, Exception) and _seconds_to_wait(error, 0) is not None

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, Exception)
        return _seconds_to_wait(error, state.attempt_number - 1) or 0.0

    for trial in Retrying(
        stop=stop_after_attempt(RETRIES + 1),
        wait=wait,
        retry=retry_if_exception(passes),
        sleep=lambda seconds: time.sleep(seconds),
        reraise=True,
    ):
        with trial:
            for item in attempt():
                begun = True
                yield item


def _seconds_to_wait(error: Exception, tries: int) -> float | None:
    """Until the next try: what the endpoint asks for, else twice as long each time. None: the error will stay.

    Retry-After is read where it gives seconds, not where it gives a date.
    """
    from openai import APIConnectionError, APIStatusError

    wait = FIRST_WAIT * 2**tries * random.uniform(0.75, 1.25)  # jitter, so that not all come back at once
    if isinstance(error, APIStatusError):
        asked = error.response.headers.get("retry-after", "")
        passes = error.status_code in PASSING
        return min(float(asked) if asked.isdecimal() else wait, LONGEST_WAIT) if passes else None
    return wait if isinstance(error, APIConnectionError) else None  # timeouts among them
