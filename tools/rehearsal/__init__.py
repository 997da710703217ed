"""The recipes for GPUs rehearsed on a CPU: corpora as published, teachers as the hub has them."""
