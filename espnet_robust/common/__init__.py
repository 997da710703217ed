"""The foundation of the package: errors, files, processes, commands, configuration."""
