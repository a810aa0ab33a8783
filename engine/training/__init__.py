"""Training of the built-in model: from a labelled folder to the weights that ship."""
