"""The page as new users try it: their tasks, done in a real browser."""
