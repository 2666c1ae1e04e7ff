"""The dashboard of ablations: one HTML file that holds all it shows."""
