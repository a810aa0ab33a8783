"""Classifiers on the labels of an archive: train, compare, calibrate, apply."""
