"""Training of the built-in model ``voice``: from labelled folders to the weights that ship."""
