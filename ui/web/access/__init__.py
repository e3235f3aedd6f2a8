"""Who may come in, what they may do, how often; and what is written down of it."""
