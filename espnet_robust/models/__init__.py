"""Speech models: one interface to teachers and students, and their building blocks."""
