"""A catalogue that several machines share: PostgreSQL has the truth, and each machine's SQLite file follows it."""
