"""How good retrieval is on labelled clips, and fitting similarity to them."""
