"""Services brought up and down: one behaviour, as processes of this machine or as containers."""
