"""A rehearsal of the GPU recipes on a CPU, with corpora and teachers laid out as published."""
