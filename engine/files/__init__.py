"""Files that people bring (folders, manifests, tables) and files that we write whole."""
