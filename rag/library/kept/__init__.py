"""What people asked and what they said of the answers, kept in the catalogue beside the documents."""
