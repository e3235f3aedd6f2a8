"""The libraries that a server serves: which there are, their open parts, and where uploads to them arrive."""
