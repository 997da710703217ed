"""What all the rest stands on: errors, files, processes, commands, configuration."""
