"""A page on which one can speak, distort it, and read what each system understands."""
