"""What a library is about, for people who look rather than read: its concepts, a map of them, its blind spots."""
