"""What bench, chaos, load and cluster have in common: the product's programs in processes of their own, and databases
that are thrown away."""
