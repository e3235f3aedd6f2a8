"""What users say of answers: corrections, which stay."""
