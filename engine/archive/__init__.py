"""An open archive: database, model, decoders and index; what every feature takes as argument."""
