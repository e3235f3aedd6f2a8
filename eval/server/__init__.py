"""A server under load, and what it costs beside the library itself."""
