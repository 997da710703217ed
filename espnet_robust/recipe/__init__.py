"""What a recipe makes, which inputs decide it, whether it is current; trainings."""
