"""Speech models: one interface to teachers and students, and what they are made of."""
