"""What the benchmarks measure. The product uses nothing of it, and it never asks the product how well it did."""
