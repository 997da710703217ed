"""A recipe's outputs: the inputs that decide them, whether they are current; its trainings."""
