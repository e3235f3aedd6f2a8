"""Seconds of a recording as people write them."""

from __future__ import annotations


def timecode(seconds: float) -> str:
    """Minutes and seconds, from an hour on with hours; fractions are cut off, so that nothing is missed by it.

    >>> timecode(0), timecode(754.9), timecode(3723)
    ('00:00', '12:34', '1:02:03')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def timestamp(seconds: float) -> str:
    """As WebVTT writes a time, to the millisecond.

    >>> timestamp(3723.5)
    '01:02:03.500'
    """
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
