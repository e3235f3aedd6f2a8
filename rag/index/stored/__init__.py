"""The files of the indexes."""
