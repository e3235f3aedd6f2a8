"""What can go wrong that a user can act on: each message says what, where and what to do."""


class RagError(Exception):
    """The base of every error that the command line prints as one line."""


class UsageError(RagError):
    """The request itself is wrong (an empty question, k = 0): exit code 2."""


class LibraryError(RagError):
    """The library folder is missing, locked, damaged or cannot be written."""


class EngineUnavailable(LibraryError):
    """The search engine that keeps a library's index cannot be asked: nothing is known of the index."""


class LibraryBusy(LibraryError):
    """Another process is writing to the library."""


class IndexMismatch(LibraryError):
    """An index was built with another encoder than the settings ask for."""


class DocumentError(RagError):
    """One document could not be read; the others are not affected."""


class ModelError(RagError):
    """Weights are missing, do not verify, or could not be fetched."""


class MissingWeights(ModelError):
    """Weights are not here and can be fetched."""


class ReaderError(RagError):
    """The language model did not answer, or answered nonsense."""


class DataError(RagError):
    """A benchmark's file does not hold what it should."""


def first_line_of(error: BaseException) -> str:
    """What another library's error says first, at most 200 characters, as a part of our own sentence.

    >>> first_line_of(OSError("no such file.\\nTry another."))
    'no such file'
    """
    return (str(error).strip().splitlines() or [""])[0][:200].rstrip(".")


def summary_of(error: BaseException) -> str:
    """The kind of another library's error, and its first line.

    >>> summary_of(OSError("no such file.\\nTry another."))
    'OSError: no such file'
    """
    return f"{type(error).__name__}: {first_line_of(error)}"


def not_loaded(what: str, error: BaseException, remedy: str) -> ModelError:
    """For weights that another library cannot load, for whatever reason."""
    return ModelError(f"{what} cannot be loaded: {summary_of(error)}. {remedy}")
