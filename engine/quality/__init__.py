"""How good retrieval is, measured on labelled clips: metrics, probes, calibration, report."""
