"""Dashboards in W&B, as code: building them needs no account, saving them does."""
